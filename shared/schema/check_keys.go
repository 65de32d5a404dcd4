package schema

import (
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
)

// key is a unique index or an exclusion constraint.
type key struct {
	Name       string
	Constraint bool
	Columns    []string // "" where it is an expression
	Predicate  string
	Definition string
}

// keys looks for unique keys that two tracks of trackstore's would share.
func (c *checker) keys() error {
	rows, err := c.work.Query(c.ctx, `
		SELECT c.relname, EXISTS (SELECT FROM pg_constraint WHERE conindid = i.indexrelid AND contype = 'u'),
			ARRAY(SELECT coalesce(a.attname::text, '') FROM unnest(i.indkey[0:i.indnkeyatts - 1]) WITH ORDINALITY AS k (attnum, n)
				LEFT JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum AND k.attnum > 0 ORDER BY n),
			coalesce(pg_get_expr(i.indpred, i.indrelid), ''), pg_get_indexdef(i.indexrelid)
		FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
		WHERE i.indrelid = $1::oid AND i.indisunique AND NOT i.indisprimary ORDER BY c.relname`, c.table.OID)
	if err != nil {
		return err
	}
	all, err := pgx.CollectRows(rows, pgx.RowToStructByPos[key])
	if err != nil {
		return err
	}
	// The columns by which new tracks of one user may be equal.
	alike := func(names ...string) bool {
		return slices.ContainsFunc(names, func(name string) bool {
			return !slices.Contains([]string{"creator_id", "file_path", "status", "storage_backend", "file_version", "upload_seq"}, name)
		})
	}
	for _, k := range all {
		switch {
		case slices.Contains(k.Columns, "id"), slices.Contains(k.Columns, ""):
		case !alike(k.Columns...) && slices.Contains(k.Columns, "file_path"):
			if !strings.Contains(k.Predicate, "<> ''") {
				c.problem("unique", k.Name, "is unique over ("+strings.Join(k.Columns, ", ")+"), and a track that is not on disk has file_path ''", c.narrowed(k))
			}
		case !alike(k.Columns...):
			c.problem("unique", k.Name, "is unique over ("+strings.Join(k.Columns, ", ")+"), in which tracks of one user are equal", c.dropped(k))
		case slices.Contains(k.Columns, "title") && !alike(slices.DeleteFunc(slices.Clone(k.Columns), func(name string) bool { return name == "title" })...):
			c.note("unique", k.Name, "is unique over ("+strings.Join(k.Columns, ", ")+"): a new track of a title that is there is refused (409 platform_refused)", "")
		}
	}
	return c.foreignKeys()
}

func (c *checker) dropped(k key) string {
	if k.Constraint {
		return fmt.Sprintf("ALTER TABLE %s DROP CONSTRAINT %s;", c.tracks, ident(k.Name))
	}
	return fmt.Sprintf("DROP INDEX %s.%s;", ident(c.table.Schema), ident(k.Name))
}

// narrowed is the key over the tracks that are on disk alone.
func (c *checker) narrowed(k key) string {
	create, _, _ := strings.Cut(k.Definition, " WHERE ")
	where := "file_path <> ''"
	if k.Predicate != "" {
		where = k.Predicate + " AND " + where
	}
	return fmt.Sprintf("%s\n%s WHERE %s;", c.dropped(k), create, where)
}

// foreignKeys looks which users a new track may be of.
func (c *checker) foreignKeys() error {
	rows, err := c.work.Query(c.ctx, `
		SELECT conname, confrelid::regclass::text, ARRAY(SELECT attname::text FROM pg_attribute WHERE attrelid = conrelid AND attnum = ANY (conkey)),
			(SELECT quote_ident(attname) FROM pg_attribute WHERE attrelid = confrelid AND attnum = confkey[1])
		FROM pg_constraint WHERE conrelid = $1::oid AND contype = 'f' ORDER BY conname`, c.table.OID)
	if err != nil {
		return err
	}
	type foreign struct {
		Name    string
		Users   string
		Columns []string
		ID      string
	}
	all, err := pgx.CollectRows(rows, pgx.RowToStructByPos[foreign])
	for _, f := range all {
		if slices.Contains(f.Columns, "creator_id") {
			c.users = fmt.Sprintf("(SELECT %s FROM %s LIMIT 1)", f.ID, f.Users)
			c.note("foreign_key", f.Name, fmt.Sprintf("lets only users of %s have tracks: an upload by a valid token of anybody else is refused (409 platform_refused)", f.Users),
				"let tokens be issued to users of "+f.Users+" alone, or insert a user before the first upload")
		}
	}
	return err
}
