package coordinator

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/dynaring/dynaring/ring"
)

func drawExec(t *rapid.T) *Exec {
	x := &Exec{
		Proto: rapid.IntRange(2, 3).Draw(t, "proto"),
		R:     rapid.IntRange(0, 5).Draw(t, "R"),
		W:     rapid.IntRange(0, 5).Draw(t, "W"),
	}
	bytes := rapid.SliceOfN(rapid.Byte(), 0, 40)
	for range rapid.IntRange(1, 5).Draw(t, "commands") {
		x.Commands = append(x.Commands, Command{
			Slot:  uint16(rapid.IntRange(0, ring.Slots-1).Draw(t, "slot")),
			Class: Class(rapid.IntRange(0, int(RMW)).Draw(t, "class")),
			Args:  rapid.SliceOfN(bytes, 1, 4).Draw(t, "args"),
			Reply: bytes.Draw(t, "reply"),
		})
	}
	return x
}

// What is encoded is what is decoded, into memory that was used before.
func TestExecCodec(t *testing.T) {
	var got Exec
	var args [][]byte
	rapid.Check(t, func(t *rapid.T) {
		x := drawExec(t)
		var index []int32
		for i := range x.Commands {
			if rapid.Bool().Draw(t, "sent") || i == 0 {
				index = append(index, int32(i))
			}
		}
		b := appendExec(nil, x, index, 1500*time.Microsecond)
		left, err := decodeExec(b, &got, &args)
		if err != nil || left != 1500*time.Microsecond || got.Proto != x.Proto || got.R != x.R || got.W != x.W {
			t.Fatal(left, err, got)
		}
		if len(got.Commands) != len(index) {
			t.Fatalf("%d commands of %d", len(got.Commands), len(index))
		}
		for n, i := range index {
			a, b := &got.Commands[n], &x.Commands[i]
			if a.Slot != b.Slot || a.Class != b.Class || len(a.Args) != len(b.Args) {
				t.Fatal(a, b)
			}
			for j := range a.Args {
				if !bytes.Equal(a.Args[j], b.Args[j]) {
					t.Fatal(a, b)
				}
			}
		}
		cut := rapid.IntRange(0, len(b)-1).Draw(t, "cut")
		if _, err := decodeExec(b[:cut], &got, &args); err == nil {
			t.Fatalf("%d of %d bytes are enough", cut, len(b))
		}
	})
}

// Replies come back with what became of each command; a reply to a write is
// never left out.
func TestRepliesCodec(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		x := drawExec(t)
		for i := range x.Commands {
			x.Commands[i].Err = rapid.SampledFrom([]error{nil, nil, nil, ErrNotOwner, ErrLoading, errors.New("no")}).Draw(t, "err")
		}
		limit := rapid.IntRange(0, 200).Draw(t, "limit")
		b := appendReplies(nil, x, limit)
		answered := false
		err := eachReply(b, len(x.Commands), func(i int, st status, body []byte) {
			cmd := &x.Commands[i]
			switch {
			case cmd.Err == ErrNotOwner || cmd.Err == ErrLoading:
				answered = answered || st != statusNotStarted
				if st != statusNotStarted {
					t.Fatal(i, st)
				}
			case cmd.Err != nil:
				answered = true
				if st != statusFailed || string(body) != "no" {
					t.Fatal(i, st)
				}
			case st == statusLater:
				if cmd.Class != Reading {
					t.Fatal("a write is put off")
				}
			case st != statusReply || !bytes.Equal(body, cmd.Reply):
				t.Fatal(i, st, body)
			default:
				answered = true
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		put := 0
		_ = eachReply(b, len(x.Commands), func(_ int, st status, _ []byte) {
			if st == statusLater {
				put++
			}
		})
		if put == len(x.Commands) {
			t.Fatal("nothing was answered")
		}
		if eachReply(b, len(x.Commands)+1, func(int, status, []byte) { t.Fatal("called") }) == nil {
			t.Fatal("replies to other commands were taken")
		}
	})
}

func FuzzExec(f *testing.F) {
	x := &Exec{Proto: 3, R: 2, Commands: []Command{
		{Slot: 7, Class: RMW, Args: [][]byte{[]byte("INCR"), []byte("k")}},
		{Slot: 16383, Args: [][]byte{[]byte("GET"), {}}},
	}}
	f.Add(appendExec(nil, x, []int32{0, 1}, time.Second))
	f.Add(appendExec(nil, x, []int32{1}, 0))
	f.Add([]byte{1, 2, 0, 0, 0, 255, 255, 3})
	f.Fuzz(func(t *testing.T, b []byte) {
		var x Exec
		var args [][]byte
		left, err := decodeExec(b, &x, &args)
		if err != nil {
			return
		}
		index := make([]int32, len(x.Commands))
		for i := range index {
			index[i] = int32(i)
		}
		again := appendExec(nil, &x, index, left)
		var y Exec
		if _, err := decodeExec(again, &y, new([][]byte)); err != nil || len(y.Commands) != len(x.Commands) {
			t.Fatal(err)
		}
	})
}

func FuzzReplies(f *testing.F) {
	x := &Exec{Commands: []Command{{Reply: []byte("+OK\r\n"), Class: Blind}, {Err: ErrNotOwner}, {Reply: []byte("$-1\r\n")}}}
	f.Add(appendReplies(nil, x, 1<<20), 3)
	f.Add(appendReplies(nil, x, 0), 3)
	f.Fuzz(func(t *testing.T, b []byte, n int) {
		if n < 0 || n > 100 {
			return
		}
		calls := 0
		err := eachReply(b, n, func(i int, st status, _ []byte) {
			if i != calls || st >= statusEnd {
				t.Fatal(i, st)
			}
			calls++
		})
		if err == nil && calls != n || err != nil && calls != 0 {
			t.Fatal(err, calls)
		}
	})
}
