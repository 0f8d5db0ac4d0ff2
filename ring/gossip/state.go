package gossip

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"github.com/dynaring/dynaring/ring"
)

// What nodes send each other, by broadcast one event at a time, by push/pull
// all of them:
//
//	[format 1][cluster 8B LE][history]
//
// A node that is joining sends cluster 0 and no history.
const stateFormat = 1

func encodeState(cluster uint64, h *ring.History) []byte {
	b := binary.LittleEndian.AppendUint64([]byte{stateFormat}, cluster)
	return append(b, h.Encoded()...)
}

// decodeState reads what encodeState gave. Its errors wrap [ring.ErrBadHistory]
// or [ring.ErrForeignCluster].
func decodeState(b []byte) (cluster uint64, h *ring.History, err error) {
	if len(b) < 9 || b[0] != stateFormat {
		return 0, nil, fmt.Errorf("%w: not a state that this program reads", ring.ErrBadHistory)
	}
	cluster = binary.LittleEndian.Uint64(b[1:])
	if h, err = ring.DecodeHistory(b[9:]); err != nil {
		return 0, nil, err
	}
	if h.Len() > 0 && (cluster == 0 || h.Cluster() != 0 && h.Cluster() != cluster) {
		return 0, nil, fmt.Errorf("%w: events of %016x sent as those of %016x", ring.ErrForeignCluster, h.Cluster(), cluster)
	}
	return cluster, h, nil
}

// What the store keeps: the history as it is encoded, and who was heard of
// last and where, so that a restarted node finds the others.
const (
	historyKey = "gossip/history"
	membersKey = "gossip/members"
)

// The members' encoding: [format 1][u members]([u length][meta])…, by name.
const membersFormat = 1

func encodeMembers(members map[string]Meta) ([]byte, error) {
	metas := make([]Meta, 0, len(members))
	for _, m := range members {
		metas = append(metas, m)
	}
	slices.SortFunc(metas, func(a, b Meta) int { return strings.Compare(a.Name, b.Name) })
	dst := binary.AppendUvarint([]byte{membersFormat}, uint64(len(metas)))
	for _, m := range metas {
		b, err := m.Encode()
		if err != nil {
			return nil, err
		}
		dst = appendString(dst, string(b))
	}
	return dst, nil
}

func decodeMembers(b []byte) (map[string]Meta, error) {
	out := map[string]Meta{}
	if len(b) == 0 {
		return out, nil
	}
	d := decoder{b: b}
	if format := d.byte(); format != membersFormat {
		return nil, fmt.Errorf("%w: format %d of the members is not known", ErrBadMeta, format)
	}
	for range d.uvarint() {
		m, err := DecodeMeta([]byte(d.string()))
		if d.bad || err != nil {
			return nil, fmt.Errorf("%w: damaged list of members", ErrBadMeta)
		}
		out[m.Name] = m
	}
	return out, nil
}
