package ring

import (
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/dynaring/dynaring/storage/version"
)

// A history's encoding. u are uvarints in their shortest form, s a uvarint
// length and that many bytes.
//
//	history  [format 1][u events][event]…            in order, none twice
//	event    [id 8B LE][time 8B LE][kind 1B][u length][body]
//	found    [cluster 8B LE][u n][s placement][u partitions][u tokens]
//	join     [s name][actor 8B LE][u weight][s zone]
//	ready    [s name][since 8B LE][u ranges][u gap, u length-1]…
//
// A range's gap counts from the last one's end. What is left of a body after
// these fields is the event's Extra.
const historyFormat = 1

const eventHeader = 8 + 8 + 1

func appendHistory(dst []byte, events []Event) []byte {
	dst = append(dst, historyFormat)
	dst = binary.AppendUvarint(dst, uint64(len(events)))
	for i := range events {
		dst = appendEvent(dst, &events[i])
	}
	return dst
}

func appendEvent(dst []byte, e *Event) []byte {
	dst = binary.LittleEndian.AppendUint64(dst, uint64(e.ID))
	dst = binary.LittleEndian.AppendUint64(dst, uint64(e.Time))
	dst = append(dst, byte(e.Kind))
	body := append(appendBody(nil, e), e.Extra...)
	return append(binary.AppendUvarint(dst, uint64(len(body))), body...)
}

func appendBody(dst []byte, e *Event) []byte {
	switch e.Kind {
	case Found:
		dst = binary.LittleEndian.AppendUint64(dst, e.Config.Cluster)
		dst = binary.AppendUvarint(dst, uint64(e.Config.N))
		dst = appendString(dst, e.Config.Placement)
		dst = binary.AppendUvarint(dst, uint64(e.Config.Partitions))
		dst = binary.AppendUvarint(dst, uint64(e.Config.Tokens))
	case Join:
		dst = appendString(dst, e.Name)
		dst = binary.LittleEndian.AppendUint64(dst, e.Actor)
		dst = binary.AppendUvarint(dst, uint64(e.Weight))
		dst = appendString(dst, e.Zone)
	case Ready:
		dst = appendString(dst, e.Name)
		dst = binary.LittleEndian.AppendUint64(dst, uint64(e.Since))
		dst = binary.AppendUvarint(dst, uint64(len(e.Slots)))
		next := 0
		for _, r := range e.Slots {
			dst = binary.AppendUvarint(dst, uint64(int(r.Lo)-next))
			dst = binary.AppendUvarint(dst, uint64(r.Hi-r.Lo))
			next = int(r.Hi) + 1
		}
	}
	return dst
}

func appendString(dst []byte, s string) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(s))), s...)
}

// DecodeHistory reads what [History.Encoded] gave. It accepts nothing else, so
// that equal histories have equal bytes; its errors wrap [ErrBadHistory] or
// [ErrForeignCluster]. Empty input is the empty history.
func DecodeHistory(b []byte) (*History, error) {
	if len(b) == 0 {
		return nil, nil
	}
	if len(b) > MaxHistoryBytes {
		return nil, fmt.Errorf("%w: longer than %d bytes", ErrBadHistory, MaxHistoryBytes)
	}
	d := decoder{b: b}
	if format := d.byte(); format != historyFormat {
		return nil, fmt.Errorf("%w: format %d is not known, this program reads %d", ErrBadHistory, format, historyFormat)
	}
	n := d.uvarint(MaxEvents)
	if n == 0 || n > len(b)/eventHeader {
		return nil, fmt.Errorf("%w: %d events in %d bytes", ErrBadHistory, n, len(b))
	}
	events := make([]Event, 0, n)
	for range n {
		e := d.event()
		if d.bad {
			return nil, fmt.Errorf("%w: damaged at byte %d", ErrBadHistory, len(b)-len(d.b))
		}
		if err := e.Validate(); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrBadHistory, err)
		}
		if k := len(events); k > 0 && compareEvents(&events[k-1], &e) >= 0 {
			return nil, fmt.Errorf("%w: events out of order", ErrBadHistory)
		}
		events = append(events, e)
	}
	if len(d.b) > 0 {
		return nil, fmt.Errorf("%w: %d bytes too many", ErrBadHistory, len(d.b))
	}
	return buildHistory(events)
}

// decoder reads from b; bad is set, and stays set, once it cannot.
type decoder struct {
	b   []byte
	bad bool
}

func (d *decoder) bytes(n int) []byte {
	if d.bad || n < 0 || n > len(d.b) {
		d.bad = true
		return nil
	}
	out := d.b[:n:n]
	d.b = d.b[n:]
	return out
}

func (d *decoder) byte() byte {
	if b := d.bytes(1); b != nil {
		return b[0]
	}
	return 0
}

func (d *decoder) uint64() uint64 {
	if b := d.bytes(8); b != nil {
		return binary.LittleEndian.Uint64(b)
	}
	return 0
}

// uvarint reads a number of at most limit, in its shortest form.
func (d *decoder) uvarint(limit int) int {
	v, n := binary.Uvarint(d.b)
	if d.bad || n <= 0 || v > uint64(limit) || n > 1 && d.b[n-1] == 0 {
		d.bad = true
		return 0
	}
	d.b = d.b[n:]
	return int(v)
}

func (d *decoder) string(limit int) string { return string(d.bytes(d.uvarint(limit))) }

// maxBody bounds an event's body: the longest is a Ready of every other slot.
const maxBody = 4*Slots + 2*MaxName + maxExtra

func (d *decoder) event() (e Event) {
	e.ID = EventID(d.uint64())
	e.Time = version.Timestamp(d.uint64())
	e.Kind = Kind(d.byte())
	body := decoder{b: d.bytes(d.uvarint(maxBody))}
	switch e.Kind {
	case Found:
		e.Config = &Config{
			Cluster:    body.uint64(),
			N:          body.uvarint(Slots),
			Placement:  body.string(MaxName),
			Partitions: body.uvarint(Slots),
			Tokens:     body.uvarint(Slots),
		}
	case Join:
		e.Name = body.string(MaxName)
		e.Actor = body.uint64()
		e.Weight = body.uvarint(MaxWeight)
		e.Zone = body.string(MaxZone)
	case Ready:
		e.Name = body.string(MaxName)
		e.Since = EventID(body.uint64())
		e.Slots = body.ranges()
	}
	if len(body.b) > 0 {
		e.Extra = slices.Clone(body.b)
	}
	d.bad = d.bad || body.bad
	return e
}

func (d *decoder) ranges() []Range {
	n := d.uvarint(Slots)
	if n == 0 || n > len(d.b) {
		d.bad = d.bad || n > 0
		return nil
	}
	out := make([]Range, 0, n)
	next := 0
	for range n {
		lo := next + d.uvarint(Slots)
		hi := lo + d.uvarint(Slots)
		if d.bad || hi >= Slots {
			d.bad = true
			return nil
		}
		out = append(out, Range{uint16(lo), uint16(hi)})
		next = hi + 1
	}
	return out
}
