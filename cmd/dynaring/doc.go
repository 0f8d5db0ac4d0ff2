// Command dynaring is Amazon's Dynamo (SOSP 2007) as a server that any Redis
// client can talk to.
//
// This package turns flags, environment and a config file into a
// [node.Config] and starts what they ask for. It must never hold logic that a
// node needs: whatever works only from this command line cannot be tested
// inside a simulated cluster.
//
// [node.Config]: https://pkg.go.dev/github.com/dynaring/dynaring/cmd/internal/node
package main
