package storetest

import "golang.org/x/sync/errgroup"

func testManyMultiparts(t *trial) {
	const many = 1003 // more than one page
	want := make([]string, many)
	key := newKey()
	var group errgroup.Group
	group.SetLimit(16)
	for i := range want {
		group.Go(func() error {
			k := newKey()
			if i < 3 {
				k = key // several of one key
			}
			var err error
			want[i], err = t.Backend.CreateMultipart(t.Context(), k, flac, nil)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	t.wantMultiparts("uploads/", want...)
	t.wantMultiparts(key, want[:3]...)
}
