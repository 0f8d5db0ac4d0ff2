package main

import (
	"context"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// simulator is the package whose tests are run.
const simulator = "github.com/dynaring/dynaring/cmd/internal/sim"

//go:embed testdata/port
var port embed.FS

// ported are the modules that do not build for wasip1 as they are, each with
// the folder of files that it lacks, or has in a form that does not build.
var ported = []struct{ module, files string }{
	{"github.com/cockroachdb/pebble/v2", "testdata/port/pebble"},
	{"github.com/hashicorp/go-sockaddr", "testdata/port/sockaddr"},
}

// build writes the tests of a package of the module in the working directory,
// built for wasip1, to the file binary. The module itself stays as it is: a
// second go.mod, in the folder dir, names the copies of what is ported.
func build(ctx context.Context, dir, pkg, binary string) error {
	mod, err := goCommand(ctx, nil, "env", "GOMOD")
	if err != nil {
		return err
	}
	if mod == os.DevNull || mod == "" {
		return errors.New("replay builds the simulator: run it inside dynaring's source")
	}
	alt := filepath.Join(dir, "go.mod")
	for from, to := range map[string]string{mod: alt, strings.TrimSuffix(mod, ".mod") + ".sum": filepath.Join(dir, "go.sum")} {
		text, err := os.ReadFile(from)
		if err != nil {
			return err
		}
		if err := os.WriteFile(to, text, 0o600); err != nil {
			return err
		}
	}
	for _, p := range ported {
		to := filepath.Join(dir, filepath.Base(p.files))
		if err := portModule(ctx, p.module, p.files, to); err != nil {
			return fmt.Errorf("porting %s: %w", p.module, err)
		}
		if _, err := goCommand(ctx, nil, "mod", "edit", "-replace", p.module+"="+to, alt); err != nil {
			return err
		}
	}
	_, err = goCommand(ctx, []string{"GOOS=wasip1", "GOARCH=wasm", "CGO_ENABLED=0"},
		"test", "-c", "-trimpath", "-modfile", alt, "-o", binary, pkg)
	return err
}

// portModule copies a module of the build list to the folder to, and what is in
// files over the copy.
func portModule(ctx context.Context, module, files, to string) error {
	out, err := goCommand(ctx, nil, "mod", "download", "-json", module)
	if err != nil {
		return err
	}
	var have struct{ Dir string }
	if err := json.Unmarshal([]byte(out), &have); err != nil {
		return fmt.Errorf("go mod download -json: %w", err)
	}
	if err := os.CopyFS(to, os.DirFS(have.Dir)); err != nil {
		return err
	}
	return fs.WalkDir(port, files, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := port.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(to, filepath.FromSlash(strings.TrimPrefix(path, files))), text, 0o600)
	})
}

// goCommand runs the go command with env added to the environment, and returns
// what it prints. An error holds what it says.
func goCommand(ctx context.Context, env []string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Env = append(os.Environ(), env...)
	var said strings.Builder
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("go %s: %w\n%s%s", strings.Join(args, " "), err, out, said.String())
	}
	return strings.TrimSpace(string(out)), nil
}
