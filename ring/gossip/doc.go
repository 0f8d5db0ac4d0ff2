// Package gossip spreads a cluster's history and who is alive, with
// memberlist (SWIM) underneath, and keeps both on disk.
//
// One goroutine, the keeper, owns the state. Everything that can change it
// (memberlist's delegates, [Gossip.Add], [Gossip.Merge]) hands it over; the
// keeper persists first, then publishes an immutable [View], then spreads. So
// no callback of memberlist ever waits for a disk, and no event is acted on
// that a crash could take back.
//
// It must never move ownership by itself: a node that looks dead is only
// marked so. It never merges with another cluster, and never waits for others
// where a node only restarts.
package gossip
