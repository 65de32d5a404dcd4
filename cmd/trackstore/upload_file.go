package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/alecthomas/kong"
)

// fileName is a file's name byte for byte. Kong takes arguments through JSON, where what is
// no UTF-8 becomes U+FFFD: the name of another file.
type fileName string

// Decode implements kong.MapperValue.
func (n *fileName) Decode(ctx *kong.DecodeContext) error {
	*n = fileName(fmt.Sprint(ctx.Scan.Pop().Value))
	return nil
}

// shown is the name, without its folder, as a server takes it and a person reads it.
func (n fileName) shown() string {
	return strings.ToValidUTF8(filepath.Base(string(n)), "_")
}

// open opens a regular file. Anything else is refused before it is opened: a pipe waits for
// whoever writes to it, and a device may act.
func (n fileName) open() (*os.File, fs.FileInfo, error) {
	info, err := os.Stat(string(n))
	if err == nil {
		err = n.checkRegular(info)
	}
	if err != nil {
		return nil, nil, err
	}
	// It may have become something else since: that, too, is not to be waited for.
	file, err := os.OpenFile(string(n), os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, nil, err
	}
	info, err = file.Stat()
	if err == nil {
		err = n.checkRegular(info)
	}
	if err != nil {
		file.Close()
		return nil, nil, err
	}
	return file, info, nil
}

func (n fileName) checkRegular(info fs.FileInfo) error {
	what := "a device"
	switch {
	case info.Mode().IsRegular():
		return nil
	case info.IsDir():
		what = "a folder: name the files in it"
	case info.Mode()&fs.ModeNamedPipe != 0:
		what = "a pipe: an upload needs to know its size and to read it twice; write it to a file first"
	case info.Mode()&fs.ModeSocket != 0:
		what = "a socket"
	}
	return &os.PathError{Op: "upload", Path: string(n), Err: errors.New("is " + what)}
}
