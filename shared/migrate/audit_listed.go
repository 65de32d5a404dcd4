package migrate

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"slices"
	"time"

	"trackstore/shared/track"
)

// listed looks for what no row names among all that is listed on a backend. It asks for many at once.
func (a *audit) listed(ctx context.Context, backend string, list iter.Seq2[track.Object, error], count *int64) error {
	var some []track.Object
	for o, err := range list {
		if errors.Is(err, fs.ErrPermission) { // as of the lost+found of a disk
			a.result.Findings++
			a.Found(Finding{Kind: LocalUnreadable, Path: o.Key, Detail: err.Error()})
			continue
		}
		if err != nil {
			return err
		}
		*count++
		if some = append(some, o); len(some) < listedAtOnce {
			continue
		}
		if err := a.unnamed(ctx, backend, some); err != nil {
			return err
		}
		some = some[:0]
	}
	return a.unnamed(ctx, backend, some)
}

// listedAtOnce is how many keys or files the database is asked for at once.
const listedAtOnce = 1000

// unnamed looks at those of some bytes that no row names.
func (a *audit) unnamed(ctx context.Context, backend string, some []track.Object) error {
	if len(some) == 0 {
		return nil
	}
	namesOf := make([][]string, len(some))
	for i, o := range some {
		namesOf[i] = []string{o.Key}
		if backend == track.Local {
			if plain, err := a.Files.PlainPaths(o.Key); err == nil {
				namesOf[i] = plain
			}
		}
	}
	var named map[string]bool
	err := patiently(ctx, firstBackoff, func() (err error) {
		named, err = a.Uses.Named(ctx, backend, slices.Concat(namesOf...))
		return err
	})
	if err != nil {
		return err
	}
	for i, o := range some {
		isNamed := slices.ContainsFunc(namesOf[i], func(name string) bool { return named[name] })
		if isNamed || backend == track.Local && a.detours.Has(o.Key) {
			continue
		}
		if err := a.unknown(ctx, backend, o, namesOf[i]); err != nil {
			return err
		}
	}
	return nil
}

// unknown looks at bytes that no row named, by these plain names, when the rows were read.
func (a *audit) unknown(ctx context.Context, backend string, o track.Object, names []string) error {
	if backend == track.Local {
		names = append(names, a.odd[names[0]]...)
	}
	use, err := a.Uses.UseOf(ctx, backend, names...)
	if err != nil {
		return err
	}
	if use.Named || use.Pending || use.Leased {
		return nil
	}
	since, what := o.ModTime, "written"
	if !use.Since.IsZero() {
		since, what = use.Since, use.Reason
	}
	age := time.Since(since)
	a.mu.Lock()
	defer a.mu.Unlock()
	if age < a.grace {
		a.result.WithinGrace++
		return nil
	}
	a.result.Findings++
	f := Finding{TrackID: use.TrackID, Detail: fmt.Sprintf("%d bytes, %s %s ago", o.Size, what, age.Round(time.Second))}
	if f.Kind, f.StorageKey = ObjectWithoutRow, o.Key; backend == track.Local {
		f.Kind, f.StorageKey, f.Path = FileWithoutRow, "", o.Key
	}
	a.Found(f)
	return nil
}
