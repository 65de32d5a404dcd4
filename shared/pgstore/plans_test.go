package pgstore_test

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"trackstore/internal/testenv"
	"trackstore/shared/pgstore"
)

// readsAll has the statements that read as much as there is of something, for that is what they are asked for. Commands
// run them; a sweep runs local_paths, and only where a file on disk is due. All others cost the same however large the
// tables are.
var readsAll = map[string]string{
	"candidates_to_local": "a plan, or a dry run",
	"candidates_to_s3":    "a plan, or a dry run",
	"check_schema":        "LIMIT 0 reads nothing",
	"count_events":        "status counts all that wait",
	"count_to_restore":    "a plan of a rollback, up to a limit",
	"draw_ranges":         "one row, and a sample of three hundred pages, once a run",
	"failures":            "status lists them all",
	"free_failures":       "retry frees them all",
	"left_paths":          "audit",
	"local_paths":         "which rows write their path in an odd way: each has to be asked",
	"rate_of_moves":       "a plan",
	"retry_events":        "retry tries all that wait",
	"progress":            "status counts all tracks",
	"purgeable":           "purge-local compares all copies",
	"recent_tracks":       "the console of the local stack: no index has its order",
	"recorded_objects":    "verify reads all objects",
	"tracks_with_bytes":   "audit",
	"unfinished_purges":   "purge-local: those that a crash has left",
}

// growing are the tables that have a row for each track, upload or event.
var growing = []string{"tracks", "track_uploads", "track_discards", "track_migrations", "track_events", "companion_sessions", "track_former_paths"}

// enough rows are those of a batch, and what is looked up for each.
const enough = 5_000

// TestNoStatementReadsATableWhole runs every statement there is, by the plan that Postgres makes for any arguments, on
// tables of some size.
func TestNoStatementReadsATableWhole(t *testing.T) {
	t.Parallel()
	checkPlans(t, 100_000)
}

// tracksThere is how many tracks BenchmarkPlans has, and ten times as many as it has uploads, events and notes.
var tracksThere = flag.Int("tracks", 10_000_000, "how many tracks BenchmarkPlans has")

// BenchmarkPlans is the same on 10,000,000 tracks and 1,000,000 uploads, events and notes each. It fails where a statement
// reads more than it should. To fill the tables takes two minutes, and most of an hour on a busy machine.
//
//	go test -run=^$ -bench=Plans -benchtime=1x -timeout=2h ./shared/pgstore -tracks=1000000
func BenchmarkPlans(b *testing.B) {
	for b.Loop() {
		checkPlans(b, *tracksThere)
	}
}

func checkPlans(tb testing.TB, tracks int) {
	tb.Helper()
	url := testenv.Postgres(tb)
	store, err := pgstore.Open(tb.Context(), url, 1)
	if err != nil {
		tb.Fatal(err)
	}
	defer store.Close()
	e := explainer{tb: tb, inOrder: store.Statement("plan_in_order")}
	if e.db, err = pgx.Connect(tb.Context(), url); err != nil {
		tb.Fatal(err)
	}
	defer e.db.Close(context.WithoutCancel(tb.Context())) //nolint:errcheck // the database is dropped
	for _, sql := range manyRows {
		if strings.Contains(sql, "$1") {
			sql = strings.ReplaceAll(sql, "$1", fmt.Sprint(tracks))
		}
		e.exec(sql)
	}
	files, err := pgstore.StatementNames()
	if err != nil {
		tb.Fatal(err)
	}
	for _, name := range files {
		if readsAll[name] != "" {
			continue
		}
		sql := strings.ReplaceAll(store.Statement(name), "$limit", "100")
		for _, receiver := range []*strings.Replacer{strings.NewReplacer("receiver_", "bus_", "other_", "webhook_"), strings.NewReplacer("receiver_", "webhook_", "other_", "bus_")} {
			e.check(name, receiver.Replace(sql))
			if !strings.Contains(sql, "receiver_") {
				break
			}
		}
	}
}

// Claims and settlements keep their plans for as long as their connection lasts. Those that were made when nothing was there
// yet read no more when there is much.
func TestPlansOfEmptyTablesLookRowsUp(t *testing.T) {
	t.Parallel()
	url := testenv.Postgres(t)
	store := open(t, url)
	e := explainer{tb: t}
	var err error
	if e.db, err = pgx.Connect(t.Context(), url); err != nil {
		t.Fatal(err)
	}
	defer e.db.Close(context.WithoutCancel(t.Context())) //nolint:errcheck // the database is dropped
	execute := func(name, args string) (plan node) {
		e.exec("BEGIN; " + store.Statement("plan_look_ups"))
		defer e.exec("ROLLBACK")
		if plan, err = e.explain("ANALYZE, TIMING OFF", "EXECUTE "+name+"("+args+")"); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		return plan
	}
	claim := "NULL, '" + one + "', '1 minute', false, '{}', NULL, 1, 100"
	args := map[string]string{
		"claim_to_s3": claim, "claim_to_local": claim + ", true", "settle_to_s3": "'[]', true", "settle_to_local": "'[]', true", "check_flips": "'{}', '{}'",
	}
	e.exec(manyRows[0] + `; ` + manyRows[1] + `; INSERT INTO track_migration_direction VALUES (true, 'to_s3') ON CONFLICT DO NOTHING`)
	for _, table := range growing {
		e.exec("ALTER TABLE " + table + " SET (autovacuum_enabled = off)")
		e.exec("VACUUM ANALYZE " + table)
	}
	for name, empty := range args {
		e.exec("PREPARE " + name + " AS " + strings.ReplaceAll(store.Statement(name), "$limit", "100"))
		execute(name, empty)
	}
	for _, sql := range manyRows[2 : len(manyRows)-1] { // nothing of it makes a plan be made anew
		e.exec(strings.ReplaceAll(sql, "$1", "40000"))
	}
	var moves, ids string
	if err := e.db.QueryRow(t.Context(), `SELECT jsonb_agg(jsonb_build_object('number', 1, 'track_id', id, 'token', lease_token, 'file_version', 1,
			'file_path', file_path, 'state', 'migrated', 'attempts', 0, 'new_key', 'k', 'new_size', 1, 'new_checksum', '0123456789abcdef'))::text, array_agg(id)::text
		FROM track_migrations m JOIN tracks ON id = track_id WHERE state = 'leased'`).Scan(&moves, &ids); err != nil {
		t.Fatal(err)
	}
	args["settle_to_s3"], args["check_flips"] = "'"+moves+"', true", "'"+ids+"', '{k}'"
	for name, full := range args {
		plan := execute(name, full)
		if rows, whole := plan.read(); len(whole) > 0 || rows > enough/10 {
			t.Errorf("%s reads %.0f rows, and %v from the beginning", name, rows, whole)
		}
	}
}

// explainer runs statements and looks at what they read.
type explainer struct {
	tb      testing.TB
	db      *pgx.Conn
	inOrder string // plan_in_order
}

func (e *explainer) exec(sql string) {
	e.tb.Helper()
	if _, err := e.db.Exec(e.tb.Context(), sql, pgx.QueryExecModeSimpleProtocol); err != nil {
		e.tb.Fatalf("%.200s: %v", sql, err)
	}
}

// node is a part of a plan, as EXPLAIN writes it.
type node struct {
	NodeType  string  `json:"Node Type"`
	Relation  string  `json:"Relation Name"`
	Rows      float64 `json:"Actual Rows"`
	Loops     float64 `json:"Actual Loops"`
	Filtered  float64 `json:"Rows Removed by Filter"`
	Rechecked float64 `json:"Rows Removed by Index Recheck"`
	Plans     []node  `json:"Plans"`
}

// read adds up the rows of growing tables that a plan has read, and names those that it reads from their beginning.
func (n node) read() (rows float64, whole []string) {
	if slices.Contains(growing, n.Relation) && strings.HasSuffix(n.NodeType, "Scan") {
		rows = (n.Rows + n.Filtered + n.Rechecked) * n.Loops
		if n.NodeType == "Seq Scan" {
			whole = append(whole, n.Relation)
		}
	}
	for _, child := range n.Plans {
		more, others := child.read()
		rows, whole = rows+more, append(whole, others...)
	}
	return rows, whole
}

// check runs a statement by its generic plan, and takes back what it did.
func (e *explainer) check(name, sql string) {
	e.tb.Helper()
	e.exec("BEGIN; SET LOCAL plan_cache_mode = force_generic_plan")
	defer e.exec("ROLLBACK; DEALLOCATE statement")
	switch name { // a statement before it, in the same transaction, does so
	case "open_upload":
		e.exec("SET LOCAL enable_sort = off")
	case "late_uploads":
		e.exec(e.inOrder)
	}
	e.exec("PREPARE statement AS " + sql)
	var types []string
	if err := e.db.QueryRow(e.tb.Context(), `SELECT parameter_types::text[] FROM pg_prepared_statements WHERE name = 'statement'`).Scan(&types); err != nil {
		e.tb.Fatal(err)
	}
	args := make([]string, len(types))
	for i, kind := range types {
		args[i] = argument(name, i+1, kind)
	}
	execute := "EXECUTE statement"
	if len(args) > 0 {
		execute += "(" + strings.Join(args, ", ") + ")"
	}
	e.exec("SAVEPOINT before")
	plan, err := e.explain("ANALYZE, TIMING OFF", execute)
	if err != nil { // these arguments are refused; the plan is the same
		e.exec("ROLLBACK TO before")
		if plan, err = e.explain("COSTS OFF", execute); err != nil {
			e.tb.Errorf("%s: %v", name, err)
			return
		}
	}
	rows, whole := plan.read()
	if len(whole) > 0 || rows > enough {
		e.tb.Errorf("%s reads %.0f rows, and %v from the beginning", name, rows, whole)
	}
}

func (e *explainer) explain(options, execute string) (node, error) {
	var text []byte
	err := e.db.QueryRow(e.tb.Context(), "EXPLAIN ("+options+", FORMAT JSON) "+execute, pgx.QueryExecModeSimpleProtocol).Scan(&text)
	if err != nil {
		return node{}, err
	}
	var plans []struct{ Plan node }
	if err := json.Unmarshal(text, &plans); err != nil {
		return node{}, err
	}
	return plans[0].Plan, nil
}

// one is an id that many rows have.
const one = "00000000-0000-4000-8000-000000000001"

// argument is what a statement is run with, by its type where it is not one of the few that take others.
func argument(statement string, number int, kind string) string {
	if value, is := map[string]string{
		"deleted_bytes 2": "''", "new_tracks 2": "''", // from the first on
		"due_discards 1": "'s3'", "due_discards 3": "'-infinity'", "due_discards 4": "0",
		"late_uploads 2": "'infinity'", "user_uploads 2": "''", "user_uploads 3": "NULL",
		"unsettled_uploads 1": "'-infinity'",
		"forget_uploads 1":    "'45 days'", "forget_events 1": "'1 day'", "forget_events 2": "'1 day'", // some are
	}[fmt.Sprint(statement, " ", number)]; is {
		return value
	}
	switch kind {
	case "uuid", "text", "character varying":
		return "'" + one + "'"
	case "text[]", "uuid[]":
		return "'{" + one + "}'"
	case "interval":
		return "'7 days'"
	case "boolean":
		return "false"
	case "jsonb":
		return "'[{}]'"
	case "bytea":
		return `'\x00'`
	case "timestamp with time zone":
		return "now()"
	case "bigint[]":
		return "'{1}'"
	default: // numbers
		return "100"
	}
}

// manyRows fills the tables of a platform that has been there for a while, with $1 tracks: most of what there is is over.
// At one moment it deleted very many.
var manyRows = []string{
	`ALTER TABLE track_events DISABLE TRIGGER USER`,
	`CREATE FUNCTION pg_temp.id(n bigint) RETURNS uuid IMMUTABLE PARALLEL SAFE LANGUAGE sql AS
		$$ SELECT ('00000000-0000-4000-8000-' || lpad(to_hex(n), 12, '0'))::uuid $$`,
	`INSERT INTO tracks (id, creator_id, title, file_path, storage_backend, storage_key, storage_bucket, file_size, deleted_at)
		SELECT pg_temp.id(n), pg_temp.id(n % 10000), 'x', CASE WHEN n % 5 < 2 THEN 'audio/' || n || '.wav' ELSE '' END,
			CASE WHEN n % 5 < 2 THEN 'local' ELSE 's3' END, CASE WHEN n % 5 >= 2 THEN 'tracks/' || pg_temp.id(n) || '/1-0000000000000000.wav' END,
			CASE WHEN n % 5 >= 2 THEN 'bucket' END, 1000,
			CASE WHEN n % 50 = 3 THEN now() - interval '30 days' END
		FROM generate_series(1, $1::bigint) AS n`,
	`INSERT INTO track_migrations (track_id, direction, file_version, state, storage_key, size, crc64nvme, started_at, finished_at, lease_token, lease_expires_at)
		SELECT pg_temp.id(n), 'to_s3', 1, CASE WHEN n % 5 >= 2 THEN 'migrated' WHEN n % 5000 = 1 THEN 'leased' ELSE 'missing' END,
			CASE WHEN n % 5 >= 2 THEN 'tracks/' || pg_temp.id(n) || '/1-0000000000000000.wav' END, 1000, '0000000000000000', now(), now(),
			CASE WHEN n % 5000 = 1 THEN pg_temp.id(n) END, CASE WHEN n % 5000 = 1 THEN now() + interval '1 hour' END
		FROM generate_series(1, $1::bigint) AS n WHERE n % 5 > 2 OR n % 4000 = 1`,
	`INSERT INTO track_uploads (id, track_id, user_id, state, reason, method, backend, storage_key, size, max_size, format, content_type, expires_at, finished_at)
		SELECT pg_temp.id(n), pg_temp.id(n * 10), pg_temp.id(n % 10000), state, CASE state WHEN 'failed' THEN 'not_audio' END, 'put', 's3', 'uploads/' || n || '.wav', 1, 1, 'wav', 'audio/wav',
			now() + (n % 200 - 100) * interval '1 minute' + n * interval '1 us', CASE WHEN state <> 'pending' THEN now() - (n % 60) * interval '1 day' + n * interval '1 us' END
		FROM (SELECT n, CASE WHEN n % 50 = 1 THEN 'pending' WHEN n % 30 = 2 THEN 'expired' WHEN n % 100 = 3 THEN 'failed' WHEN n % 100 = 4 THEN 'aborted' ELSE 'stored' END AS state
			FROM generate_series(1, $1::bigint / 10) AS n) AS uploads`,
	`INSERT INTO track_discards (track_id, backend, storage_key, reason, discarded_at, removed_at, gone_at)
		SELECT pg_temp.id(n), backend, folder || '/' || pg_temp.id(n) || '/', 'deleted', now() - interval '30 days', now() - interval '20 days', now() - interval '20 days'
		FROM generate_series(3, $1::bigint, 50) AS n, (VALUES ('s3', 'uploads'), ('s3', 'tracks'), ('local', 'uploads'), ('local', 'restored')) AS f (backend, folder)`,
	`INSERT INTO track_discards (track_id, backend, storage_key, reason, discarded_at, removed_at, gone_at)
		SELECT pg_temp.id(n), 's3', 'uploads/old-' || n, 'replaced', now() - (n % 14) * interval '1 day', gone, gone
		FROM (SELECT n, CASE WHEN n % 20 > 0 THEN now() - (n % 14) * interval '1 day' END AS gone FROM generate_series(1, $1::bigint / 10) AS n) AS notes`,
	// The webhook was out of reach for a while.
	`INSERT INTO track_events (track_id, type, data, created_at, bus_state, webhook_state)
		SELECT pg_temp.id(n), 'ready', '{}', now() - (n % 7) * interval '1 day', 'none', CASE WHEN n % 2 = 0 THEN 'waiting' WHEN n % 1000 = 1 THEN 'dead' ELSE 'delivered' END
		FROM generate_series(1, $1::bigint / 10) AS n`,
	`INSERT INTO companion_sessions (token_hash, user_id, created_at, expires_at)
		SELECT sha256(n::text::bytea), pg_temp.id(n), now() - interval '1 day', now() + (n % 200 - 100) * interval '1 minute' FROM generate_series(1, $1::bigint / 10) AS n`,
	`INSERT INTO track_former_paths (track_id, file_path) SELECT pg_temp.id(n), 'old/' || n FROM generate_series(1, $1::bigint / 10) AS n`,
	`VACUUM (ANALYZE) tracks, track_uploads, track_discards, track_migrations, track_events, companion_sessions, track_former_paths`,
}
