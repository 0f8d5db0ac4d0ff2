//go:build !unix

package resp

// infoCPU says nothing where the system does not measure a process.
func (b *batch) infoCPU() []Field { return nil }
