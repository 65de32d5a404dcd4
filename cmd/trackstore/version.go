package main

import (
	"fmt"
	"runtime/debug"
)

type versionCmd struct{}

func (versionCmd) Run(c *console) error {
	_, err := fmt.Fprintln(c.stdout, version())
	return err
}

// version names the build: the module's version where it was installed as a module, else the commit.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "trackstore (unknown build)"
	}
	build := info.Main.Version
	if build == "" || build == "(devel)" {
		build = "built from a working tree"
	}
	return fmt.Sprintf("trackstore %s, %s", build, info.GoVersion)
}
