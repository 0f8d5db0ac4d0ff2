package ring

import "errors"

// Errors of histories. They are wrapped with the details.
var (
	// ErrForeignCluster: two histories that began apart. They never merge.
	ErrForeignCluster = errors.New("history of another cluster")
	// ErrNoCluster: a history without a usable Found event.
	ErrNoCluster = errors.New("history holds no cluster")
	// ErrBadHistory: bytes that are not a history's encoding.
	ErrBadHistory = errors.New("bad history encoding")
	// ErrHistoryFull: a history would outgrow MaxEvents or MaxHistoryBytes.
	ErrHistoryFull = errors.New("history is full")
	// ErrBadEvent: an event that no history can hold.
	ErrBadEvent = errors.New("bad event")
	// ErrBadConfig: a cluster's settings that cannot work.
	ErrBadConfig = errors.New("bad cluster settings")
)
