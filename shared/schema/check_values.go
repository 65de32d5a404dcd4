package schema

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"trackstore/shared/track"
)

// statuses are those that trackstore gives a track.
var statuses = []string{"uploading", "ready", "failed"}

// formats and types are what a flip may write.
func formats() (formats, types []string) {
	for _, f := range track.Formats() {
		formats = append(formats, string(f))
		types = append(types, f.ContentType())
	}
	return formats, append(types, track.OctetStream)
}

// samples are the values that trackstore writes into a column: all of them, or the longest.
func samples() map[string][]string {
	formats, types := formats()
	id := "ffffffff-ffff-ffff-ffff-ffffffffffff"
	return map[string][]string{
		"title":           {strings.Repeat("x", 255)},
		"file_path":       {"", track.UploadsPrefix + id + "/" + id + ".opus"},
		"file_size":       {strconv.FormatInt(track.MaxObjectSize, 10)},
		"format":          formats,
		"content_type":    types,
		"status":          statuses,
		"storage_backend": {track.Local, track.S3},
		"storage_key":     {track.MigratedPrefix + id + "/9223372036854775807-0123456789abcdef.opus"},
	}
}

// values looks whether each column takes each value that is written into it.
func (c *checker) values() error {
	all := samples()
	return c.trial(func(tx pgx.Tx) error {
		for _, n := range needs {
			col := c.table.column(n.name)
			if col == nil || !n.fits(*col) {
				continue
			}
			var refused []string
			var reason *pgconn.PgError
			for _, value := range all[n.name] {
				input, err := json.Marshal(map[string]string{"x": value})
				if err != nil {
					return err
				}
				_, err = c.attempt(tx, fmt.Sprintf("SELECT x FROM jsonb_to_record($1::jsonb) AS t (x %s)", col.Type), string(input))
				var pgErr *pgconn.PgError
				if errors.As(err, &pgErr) {
					refused, reason = append(refused, value), pgErr
				} else if err != nil {
					return err
				}
			}
			if len(refused) > 0 {
				c.refusedValues(n, *col, refused, reason)
			}
			if col.Class == "e" && (n.name == "format" || n.name == "content_type") {
				if err := c.enumCast(*col); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

func (c *checker) refusedValues(n need, col column, refused []string, reason *pgconn.PgError) {
	object := "column " + n.name
	switch {
	case col.Class == "e":
		var fix []string
		for _, value := range refused {
			fix = append(fix, fmt.Sprintf("ALTER TYPE %s ADD VALUE IF NOT EXISTS %s;", col.Type, literal(value)))
		}
		c.problem("enum", object, fmt.Sprintf("is the enum %s, which lacks %s", col.Type, literals(refused)), strings.Join(fix, "\n"))
	case reason.Code == "22001" || reason.Code == "22003":
		longest := 0
		for _, value := range refused {
			longest = max(longest, len(value))
		}
		c.problem("length", object, fmt.Sprintf("is %s, and up to %d characters are written to it", col.Type, longest),
			fmt.Sprintf("ALTER TABLE %s ALTER COLUMN %s TYPE varchar(%d);", c.tracks, n.name, longest))
	case col.Class == "d":
		c.problem("domain", object, fmt.Sprintf("is of the domain %s, whose constraint %s refuses %s", col.Type, reason.ConstraintName, literals(refused)),
			fmt.Sprintf("ALTER DOMAIN %s DROP CONSTRAINT %s;\n-- and add it again with these values", col.Type, ident(reason.ConstraintName)))
	default:
		c.problem("value", object, fmt.Sprintf("does not take %s: %s", literals(refused), reason.Message),
			fmt.Sprintf("ALTER TABLE %s ALTER COLUMN %s TYPE text;", c.tracks, n.name))
	}
}

// enumCast looks for the cast by which a text becomes a value of the column's enum.
func (c *checker) enumCast(col column) error {
	var castable bool
	err := c.work.QueryRow(c.ctx, `
		SELECT EXISTS (SELECT FROM pg_cast WHERE casttarget = to_regtype($1) AND castsource IN ('text'::regtype, 'varchar'::regtype) AND castcontext IN ('a', 'i'))`,
		col.Type).Scan(&castable)
	if err == nil && !castable {
		c.problem("enum_cast", "column "+col.Name, "is the enum "+col.Type+", and a flip writes text",
			fmt.Sprintf("CREATE CAST (text AS %s) WITH INOUT AS ASSIGNMENT;", col.Type))
	}
	return err
}

// candidates are rows as trackstore makes them, as far as its own columns go.
func candidates() map[string]map[string]any {
	const id = "00000000-0000-0000-0000-000000000001"
	const key = track.MigratedPrefix + id + "/1-0123456789abcdef.flac"
	with := func(more map[string]any) map[string]any {
		row := map[string]any{"id": id, "creator_id": id, "title": "x", "storage_backend": track.Local, "file_version": 1, "upload_seq": 0}
		for name, value := range more {
			row[name] = value
		}
		return row
	}
	return map[string]map[string]any{
		"a long title":       with(map[string]any{"title": strings.Repeat("x", 255), "file_path": "", "status": "uploading"}),
		"a new upload":       with(map[string]any{"file_path": "", "status": "uploading"}),
		"an upload on disk":  with(map[string]any{"file_path": track.UploadsPrefix + id + "/" + id + ".wav", "status": "ready", "file_size": 1, "format": "wav", "content_type": "audio/wav"}),
		"an upload on S3":    with(map[string]any{"file_path": "", "status": "ready", "file_size": track.MaxObjectSize, "format": "opus", "content_type": "audio/ogg", "storage_backend": "s3", "storage_key": key}),
		"a refused upload":   with(map[string]any{"file_path": "", "status": "failed"}),
		"a track that moved": with(map[string]any{"file_path": "a.mp3", "status": "ready", "file_size": 1, "content_type": track.OctetStream, "storage_backend": "s3", "storage_key": key}),
	}
}

// checks evaluates each CHECK of the table over each row that trackstore makes, one by one,
// so that none hides another.
func (c *checker) checks() error {
	rows, err := c.work.Query(c.ctx, `
		SELECT conname, pg_get_expr(conbin, conrelid), ARRAY(SELECT attname::text FROM pg_attribute WHERE attrelid = conrelid AND attnum = ANY (conkey))
		FROM pg_constraint WHERE conrelid = $1::oid AND contype = 'c' AND NOT connoinherit
			AND NOT conname = ANY ('{tracks_storage_key_check,tracks_file_version_check}')
		ORDER BY conname`, c.table.OID)
	if err != nil {
		return err
	}
	type check struct {
		Name    string
		Expr    string
		Columns []string
	}
	all, err := pgx.CollectRows(rows, pgx.RowToStructByPos[check])
	if err != nil {
		return err
	}
	return c.trial(func(tx pgx.Tx) error {
		for _, check := range all {
			var refuses []string
			for _, name := range sortedKeys(candidates()) {
				input, err := json.Marshal(candidates()[name])
				if err != nil {
					return err
				}
				n, err := c.attempt(tx, fmt.Sprintf("SELECT FROM jsonb_populate_record(NULL::%s, $1::jsonb) AS %s WHERE NOT (%s)",
					c.tracks, ident(c.table.Name), check.Expr), string(input))
				if err == nil && n > 0 {
					refuses = append(refuses, name)
				}
			}
			if len(refuses) > 0 {
				c.problem("check", check.Name, "refuses "+strings.Join(refuses, ", ")+": CHECK ("+check.Expr+")", c.widened(check.Name, check.Expr, check.Columns))
			}
		}
		return nil
	})
}

// widened is the CHECK as it lets trackstore's rows in, too.
func (c *checker) widened(name, expr string, columns []string) string {
	formats, types := formats()
	clauses := map[string]string{
		"status":          "status IN (" + literals(statuses) + ")",
		"format":          "format IN (" + literals(formats) + ")",
		"content_type":    "content_type IN (" + literals(types) + ")",
		"file_path":       "file_path = ''",
		"storage_backend": "storage_backend IN ('local', 's3')",
		"storage_key":     "storage_backend = 's3'",
		"file_size":       "file_size >= 0",
	}
	either := []string{"(" + expr + ")"}
	for _, column := range columns {
		if clause := clauses[column]; clause != "" {
			either = append(either, clause)
		}
	}
	drop := fmt.Sprintf("ALTER TABLE %s DROP CONSTRAINT %s", c.tracks, ident(name))
	if len(either) == 1 {
		return drop + ";"
	}
	return fmt.Sprintf("%s, ADD CONSTRAINT %s CHECK (%s) NOT VALID;", drop, ident(name), strings.Join(either, " OR "))
}
