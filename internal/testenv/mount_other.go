//go:build !linux

package testenv

import "testing"

const onlyLinux = "file systems are mounted on Linux only"

// Memory is for Linux.
func Memory(t testing.TB, _ string) string { Skip(t, onlyLinux); return "" }

// ReadOnly is for Linux.
func ReadOnly(t testing.TB, _ string) (undo func()) { Skip(t, onlyLinux); return nil }

// Over is for Linux.
func Over(t testing.TB, _, _ string) (undo func()) { Skip(t, onlyLinux); return nil }

// ExFAT is for Linux.
func ExFAT(t testing.TB) string { Skip(t, onlyLinux); return "" }
