package schema

import (
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
)

// access looks at row level security and rights.
func (c *checker) access() error {
	if err := c.security(); err != nil {
		return err
	}
	return c.rights()
}

// security looks whether row level security hides rows from the role. Hidden rows are no
// error anywhere: there are just none.
func (c *checker) security() error {
	t := c.table
	if !t.Security {
		return nil
	}
	var exempt, permitted bool
	var restrictive int
	err := c.work.QueryRow(c.ctx, `
		SELECT r.rolsuper OR r.rolbypassrls OR NOT $3 AND pg_has_role(r.oid, c.relowner, 'USAGE'),
			EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = c.oid AND p.polpermissive AND p.polcmd = '*'
				AND pg_get_expr(p.polqual, p.polrelid) = 'true' AND coalesce(pg_get_expr(p.polwithcheck, p.polrelid), 'true') = 'true'
				AND EXISTS (SELECT FROM unnest(p.polroles) AS of WHERE of = 0 OR pg_has_role(r.oid, of, 'USAGE'))),
			(SELECT count(*) FROM pg_policy p WHERE p.polrelid = c.oid AND NOT p.polpermissive
				AND EXISTS (SELECT FROM unnest(p.polroles) AS of WHERE of = 0 OR pg_has_role(r.oid, of, 'USAGE')))
		FROM pg_roles r, pg_class c WHERE r.rolname = $1 AND c.oid = $2::oid`, c.role, t.OID, t.Forced).Scan(&exempt, &permitted, &restrictive)
	if err != nil {
		return err
	}
	switch {
	case exempt:
		c.note("row_security", "role "+c.role, "is exempt from the row level security of "+c.tracks.String(), "")
	case permitted && restrictive == 0:
		c.note("row_security", "role "+c.role, "sees every row of "+c.tracks.String()+" by a policy", "")
	case restrictive > 0:
		c.problem("row_security", "role "+c.role, "is subject to the row level security of "+c.tracks.String()+": rows that a policy hides are neither moved nor counted",
			fmt.Sprintf("ALTER ROLE %s BYPASSRLS;", ident(c.role)))
	default:
		c.problem("row_security", "role "+c.role, "is subject to the row level security of "+c.tracks.String()+": rows that a policy hides are neither moved nor counted",
			fmt.Sprintf("CREATE POLICY trackstore ON %s TO %s USING (true) WITH CHECK (true);", c.tracks, ident(c.role)))
	}
	return nil
}

// rights looks which of all functions' rights the role lacks.
func (c *checker) rights() error {
	if c.isUp() {
		missing, err := c.missingGrants()
		if err != nil {
			return err
		}
		for _, line := range missing {
			c.problem("rights", "role "+c.role, "lacks a right that a function needs", line)
		}
		return nil
	}
	// The tables are not there yet: only the platform's own can be looked at.
	var lacks []string
	for _, privilege := range []string{"SELECT", "INSERT", "UPDATE"} {
		var has bool
		if err := c.work.QueryRow(c.ctx, "SELECT has_any_column_privilege($1, $2::oid, $3)", c.role, c.table.OID, privilege).Scan(&has); err != nil {
			return err
		}
		if !has {
			lacks = append(lacks, privilege)
		}
	}
	if len(lacks) > 0 {
		c.note("rights", "role "+c.role, "has no "+strings.Join(lacks, ", ")+" on "+c.tracks.String()+" yet", "after schema up, the lines of: trackstore schema grants --role "+c.role)
	}
	return nil
}

// mayWrite reports whether the role that connects could try at all.
func (c *checker) mayWrite() (may bool) {
	err := c.work.QueryRow(c.ctx, `
		SELECT has_any_column_privilege($1::oid, 'SELECT') AND has_any_column_privilege($1::oid, 'INSERT') AND has_any_column_privilege($1::oid, 'UPDATE')`,
		c.table.OID).Scan(&may)
	if err == nil && !may {
		c.note("not_tried", c.tracks.String(), "could not be tried: the role that connects may not write to it", "")
	}
	return err == nil && may
}

// ownership looks whether the role that connects may bring the schema up.
func (c *checker) ownership() error {
	if c.isUp() && c.lock == nil {
		return nil // it was brought up, by whoever that was
	}
	var user, schema string
	var may bool
	err := c.work.QueryRow(c.ctx, `
		SELECT current_user::text, coalesce(current_schema(), ''), coalesce(has_schema_privilege(current_schema(), 'CREATE'), false)`).Scan(&user, &schema, &may)
	if err != nil {
		return err
	}
	if !c.table.Owned {
		c.refuse("owner", "role "+user, "does not own "+c.tracks.String()+", and only its owner can add columns to it",
			fmt.Sprintf("GRANT %s TO %s; -- for schema up alone: the functions need no more than what schema grants prints", ident(c.table.Owner), ident(user)))
	}
	switch {
	case schema == "":
		c.refuse("search_path", "role "+user, "has a search path that names no schema: there is no place for trackstore's own tables",
			fmt.Sprintf("ALTER ROLE %s SET search_path = %s;", ident(user), ident(c.table.Schema)))
	case !may:
		c.refuse("create", "role "+user, "may not make tables in the schema "+schema,
			fmt.Sprintf("GRANT CREATE ON SCHEMA %s TO %s;", ident(schema), ident(user)))
	}
	var there bool
	if err := c.work.QueryRow(c.ctx, "SELECT has_schema_privilege($1, 'CREATE')", c.table.Schema).Scan(&there); err != nil {
		return err
	}
	if !there && c.table.Schema != schema {
		c.refuse("create", "role "+user, "may not make indexes in the schema "+c.table.Schema,
			fmt.Sprintf("GRANT CREATE ON SCHEMA %s TO %s;", ident(c.table.Schema), ident(user)))
	}
	return nil
}

// rows counts rows that are not as trackstore expects them.
func (c *checker) rows() error {
	if c.table.Kind != "r" || c.refused() {
		return nil
	}
	for _, look := range []struct{ column, where, kind, detail string }{
		{"creator_id", "creator_id IS NULL", "null", "have no creator_id: nobody sees them through the API, and they move all the same"},
		{"created_at", "created_at IS NULL", "null", "have no created_at: the API gives updated_at, or 1970"},
		{"title", "title IS NULL", "null", "have no title: the API gives ''"},
		{"file_path", "file_path ~ '^[a-z0-9]+://'", "url", "have a URL as file_path: no file is found there, and they stay where they are"},
	} {
		n, err := c.count(look.column, look.where)
		if err != nil {
			return err
		}
		if n > 0 {
			c.note(look.kind, "column "+look.column, fmt.Sprintf("%d rows %s", n, look.detail), "")
		}
	}
	return c.deleted()
}

// count counts rows by a condition on a column, up to 100,000; none where there is no such column, or the table cannot be
// read in time, which it notes.
func (c *checker) count(column, where string) (n int64, err error) {
	if c.table.column(column) == nil {
		return 0, nil
	}
	err = c.trial(func(tx pgx.Tx) error {
		return tx.QueryRow(c.ctx, fmt.Sprintf("SELECT count(*) FROM (SELECT FROM %s WHERE %s LIMIT 100000) AS found", c.tracks, where)).Scan(&n)
	})
	switch sqlState(err) {
	case "57014", lockNotAvailable, "42501":
		c.note("not_counted", "column "+column, "could not be read in time, or not at all", "")
		return 0, nil
	}
	return n, err
}

// deleted counts the tracks whose files the sweep would remove.
func (c *checker) deleted() error {
	if col := c.table.column("deleted_at"); col == nil || col.Category != "D" {
		return nil
	}
	adoptedAt, since := "now()", "schema up"
	if c.isUp() {
		adoptedAt = "(SELECT adopted_at FROM trackstore_adoption)"
	}
	var n, withFile int64
	var when string
	err := c.trial(func(tx pgx.Tx) error {
		return tx.QueryRow(c.ctx, fmt.Sprintf(`
			SELECT count(*), count(*) FILTER (WHERE file_path <> ''), to_char(%s, 'YYYY-MM-DD')
			FROM (SELECT file_path FROM %s WHERE deleted_at IS NOT NULL AND deleted_at < %s LIMIT 1000000) AS deleted`,
			adoptedAt, c.tracks, adoptedAt)).Scan(&n, &withFile, &when)
	})
	switch {
	case sqlState(err) == "57014", sqlState(err) == lockNotAvailable, sqlState(err) == "42501", sqlState(err) == undefinedTable:
		return nil
	case err != nil || n == 0:
		return err
	}
	if c.isUp() {
		since = when
	}
	c.note("deleted", "column deleted_at", fmt.Sprintf("%d tracks were deleted before trackstore came: the first sweep after STORAGE_GRACE, counted from %s, removes the files of the %d that have one",
		n, since, withFile), fmt.Sprintf("to keep them: UPDATE %s SET deleted_at = NULL WHERE …; or set STORAGE_GRACE longer", c.tracks))
	return nil
}
