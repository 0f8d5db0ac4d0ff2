// Package blackbox holds no code: its tests start real dynaring processes and
// drive them with real clients of Go, JavaScript, Python, PHP, Ruby and C. It
// sees a node as its users do, through its ports, its exit code and its log,
// and must never import one.
package blackbox
