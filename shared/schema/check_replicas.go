package schema

import (
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
)

// replication looks who else takes the table's changes.
func (c *checker) replication() error {
	name := c.tracks.String()
	rows, err := c.work.Query(c.ctx, `
		SELECT t.pubname, p.puballtables FROM pg_publication_tables t JOIN pg_publication p USING (pubname)
		WHERE schemaname = $1 AND tablename = $2 ORDER BY 1`, c.table.Schema, c.table.Name)
	if err != nil {
		return err
	}
	type publication struct {
		Name string
		All  bool // tables that are there, or come
	}
	publications, err := pgx.CollectRows(rows, pgx.RowToStructByPos[publication])
	if err != nil {
		return err
	}
	for _, p := range publications {
		said := "publishes " + name + ": a subscriber stops at the first change after schema up until its table has the new columns, too; it goes on where it stopped"
		if c.isUp() {
			said = "publishes " + name + ": subscribers need the columns that trackstore added"
		}
		fix := "on each subscriber, first:\n" + c.subscriberColumns()
		if p.All {
			var own string
			if err := c.work.QueryRow(c.ctx, "SELECT coalesce(quote_ident(current_schema()), 'public')").Scan(&own); err != nil {
				return err
			}
			said += "; it publishes all tables, and so trackstore's own"
			fix += "\n-- and trackstore's own tables, which may stay empty there, right after schema up (URLs of the owners):\n" +
				"pg_dump --schema-only --table=" + own + "." + strings.Join(ownTables, " --table="+own+".") + ` --dbname="$PUBLISHER" | psql --dbname="$SUBSCRIBER"`
		}
		c.note("published", p.Name, said, fix)
	}
	var subscribed bool
	err = c.work.QueryRow(c.ctx, "SELECT EXISTS (SELECT FROM pg_subscription_rel WHERE srrelid = $1::oid)", c.table.OID).Scan(&subscribed)
	if err == nil && subscribed {
		c.note("subscribed", name, "is filled by a subscription: triggers do not fire for its changes, so nothing keeps the storage columns from a publisher that writes them",
			"publish the table without these columns (ALTER PUBLICATION … SET TABLE … (column, …))")
	}
	return err
}

func (c *checker) subscriberColumns() string {
	var lines []string
	for _, add := range []string{
		"storage_backend varchar(16) NOT NULL DEFAULT 'local'", "storage_key varchar(512)", "storage_version_id text", "storage_bucket varchar(63)",
		"file_version bigint NOT NULL DEFAULT 1", "upload_seq bigint NOT NULL DEFAULT 0", "file_size bigint", "format varchar(16)",
		"content_type varchar(100)", "status varchar(16) NOT NULL DEFAULT 'ready'", "created_at timestamptz NOT NULL DEFAULT now()",
		"updated_at timestamptz NOT NULL DEFAULT now()", "deleted_at timestamptz",
	} {
		if name, _, _ := strings.Cut(add, " "); c.isUp() || c.table.column(name) == nil {
			lines = append(lines, fmt.Sprintf("ALTER TABLE %s ADD COLUMN IF NOT EXISTS %s;", c.tracks, add))
		}
	}
	return strings.Join(lines, "\n")
}
