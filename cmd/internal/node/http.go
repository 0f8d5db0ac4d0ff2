package node

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/pprof"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

const (
	// httpGrace bounds how long a scrape may delay a stop.
	httpGrace = time.Second
	// httpTimeout bounds reading one request, and how long a connection may
	// idle.
	httpTimeout = 10 * time.Second
)

// serveHTTP serves /metrics, /health and Go's profiles under /debug/pprof/
// until ctx ends.
func (n *Node) serveHTTP(ctx context.Context) error {
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), &metrics{node: n})
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /health", n.serveHealth)
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	srv := &http.Server{
		Handler: mux, ReadHeaderTimeout: httpTimeout, ReadTimeout: httpTimeout, IdleTimeout: httpTimeout,
	}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(n.listeners.http) }()
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.Background(), httpGrace)
	defer cancel()
	if err := srv.Shutdown(grace); err != nil {
		srv.Close()
	}
	if err := <-served; !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// serveHealth answers 200 while the node can serve commands, else 503.
func (n *Node) serveHealth(w http.ResponseWriter, _ *http.Request) {
	health := struct {
		Node   string `json:"node"`
		Status string `json:"status"` // ok, loading
	}{n.cfg.Name, "ok"}
	code := http.StatusOK
	if n.gossip.View().Ring == nil {
		health.Status, code = "loading", http.StatusServiceUnavailable
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	json.NewEncoder(w).Encode(health)
}

// metrics turns the layers' counts into Prometheus's when it is scraped.
type metrics struct{ node *Node }

// Describe sends nothing: the collector is unchecked, its metrics being made
// at each scrape.
func (m *metrics) Describe(chan<- *prometheus.Desc) {}

// Collect reads every layer's counts once.
func (m *metrics) Collect(out chan<- prometheus.Metric) {
	send := func(kind prometheus.ValueType, name, help string, v float64) {
		out <- prometheus.MustNewConstMetric(prometheus.NewDesc("dynaring_"+name, help, nil, nil), kind, v)
	}
	counter := func(name, help string, v uint64) { send(prometheus.CounterValue, name, help, float64(v)) }
	gauge := func(name, help string, v float64) { send(prometheus.GaugeValue, name, help, v) }

	r := m.node.resp.Stats()
	gauge("clients", "Client connections.", float64(r.Clients))
	counter("commands_total", "Commands executed for clients.", uint64(r.Commands))
	counter("command_errors_total", "Commands answered with an error.", uint64(r.Errors))
	counter("connections_total", "Client connections accepted.", uint64(r.Connections))
	counter("connections_rejected_total", "Client connections turned away.", uint64(r.Rejected))

	c := m.node.coordinator.Stats()
	counter("coordinator_reads_total", "Keys read by this coordinator.", c.Reads)
	counter("coordinator_writes_total", "Writes coordinated here.", c.Writes)
	counter("coordinator_noquorum_total", "Groups of a batch that found too few owners.", c.NoQuorum)
	counter("coordinator_uncertain_total", "Writes answered UNCERTAIN.", c.Uncertain)
	counter("coordinator_hedges_total", "Reads that asked a further owner.", c.Hedges)
	counter("coordinator_hints_total", "Batches of cells sent to fallbacks, to be kept for owners.", c.HintsSent)
	counter("coordinator_hints_failed_total", "Of them, those that the fallback did not keep.", c.HintsFailed)
	counter("coordinator_late_covered_total", "Of them, those for an owner that was late.", c.LateCovered)
	counter("coordinator_standins_total", "Writes coordinated here in place of owners that could not be reached.", c.StandIns)
	gauge("peers_passed_over", "Nodes that are passed over because they cannot store.", float64(c.PassedOver))
	counter("coordinator_forwarded_total", "Commands passed on to an owner.", c.Forwarded)
	counter("coordinator_served_total", "Commands that other nodes passed on.", c.Served)
	counter("read_repairs_total", "Cells repaired on stale replicas.", c.RepairsDone)
	counter("read_repairs_failed_total", "Repairs of cells that failed.", c.RepairsFailed)
	counter("read_repairs_dropped_total", "Repairs given up because too many waited.", c.RepairsDropped)

	m.collectPeers(out)
	v := m.node.gossip.View()
	gauge("members", "Members of the cluster.", float64(len(v.Members)))
	gauge("members_alive", "Members that the gossip believes to be alive.", float64(len(v.Alive)))
	m.collectSettling(out, send)
}

// collectPeers sends what is known of each connection that this node dialled.
func (m *metrics) collectPeers(out chan<- prometheus.Metric) {
	labels := []string{"peer", "class"}
	up := prometheus.NewDesc("dynaring_peer_up", "Whether the connection to the peer can be used.", labels, nil)
	latency := prometheus.NewDesc("dynaring_peer_latency_seconds", "Moving average of the peer's replies.", labels, nil)
	queued := prometheus.NewDesc("dynaring_peer_queued_bytes", "Bytes waiting to be written to the peer.", labels, nil)
	timeouts := prometheus.NewDesc("dynaring_peer_timeouts", "Calls of this connection without a reply in time.", labels, nil)
	for _, s := range m.node.peers.stats() {
		if s.Accepted {
			continue
		}
		send := func(d *prometheus.Desc, v float64) {
			out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, s.Name, s.Class.String())
		}
		usable := 0.0
		if s.Connected && !s.Suspect {
			usable = 1
		}
		send(up, usable)
		send(latency, s.Latency.Seconds())
		send(queued, float64(s.QueuedBytes))
		send(timeouts, float64(s.Timeouts))
	}
}
