/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "controller/store/state.h"
#include "proto/base/fd.h"

enum {
	APPLICATION_ID = 0x434c4354, /* "CLCT": this database is ours */
	SCHEMA_VERSION = 1,
};

static const char schema[] =
	"CREATE TABLE meta (key TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;"
	"CREATE TABLE cells (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, data_address TEXT "
	"NOT NULL,"
	" software TEXT NOT NULL, pid INTEGER NOT NULL, cpus INTEGER NOT NULL, memory INTEGER NOT "
	"NULL,"
	" joined_ms INTEGER NOT NULL, lost INTEGER NOT NULL) STRICT;"
	"CREATE TABLE vms (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, epoch INTEGER NOT "
	"NULL,"
	" state INTEGER NOT NULL, memory INTEGER NOT NULL, vcpus INTEGER NOT NULL, members INTEGER "
	"NOT NULL,"
	" preserve INTEGER NOT NULL, peers INTEGER NOT NULL, quits INTEGER NOT NULL, started_ms "
	"INTEGER NOT NULL,"
	" ended_ms INTEGER NOT NULL, cause INTEGER NOT NULL, code INTEGER NOT NULL,"
	" reason_member INTEGER NOT NULL, reason_cell TEXT NOT NULL, reason_text TEXT NOT NULL,"
	" spec BLOB NOT NULL) STRICT;"
	"CREATE TABLE fragments (vm INTEGER NOT NULL, member INTEGER NOT NULL, cell INTEGER NOT "
	"NULL,"
	" state INTEGER NOT NULL, pid INTEGER NOT NULL, address TEXT NOT NULL, vcpus INTEGER NOT "
	"NULL, stat BLOB,"
	" PRIMARY KEY (vm, member)) STRICT, WITHOUT ROWID;";

static enum err_code code_of(sqlite3 *db, int rc)
{
	switch (rc & 0xff) {
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return ERR_EXISTS;
	case SQLITE_PERM:
	case SQLITE_READONLY:
	case SQLITE_AUTH:
		return ERR_DENIED;
	case SQLITE_CANTOPEN:
		return db && sqlite3_system_errno(db) == EACCES ? ERR_DENIED : ERR_SYS;
	case SQLITE_FULL:
		return ERR_NOSPACE;
	case SQLITE_NOMEM:
		return ERR_NOMEM;
	default:
		return ERR_SYS;
	}
}

int store_error(struct store *store, int rc, const char *what, struct err *e)
{
	if ((rc & 0xff) == SQLITE_NOTADB || (rc & 0xff) == SQLITE_CORRUPT)
		return err_set(e, ERR_SYS, "the database %s is damaged: %s", store->path,
			       sqlite3_errstr(rc));
	return err_set(e, code_of(store->db, rc), "cannot %s %s: %s", what, store->path,
		       store->db ? sqlite3_errmsg(store->db) : sqlite3_errstr(rc));
}

int store_run(struct store *store, enum store_statement statement, const char *what, struct err *e)
{
	sqlite3_stmt *stmt = store_stmt(store, statement);
	int rc = sqlite3_step(stmt), ret = ERR_OK;

	if (rc != SQLITE_DONE && rc != SQLITE_ROW)
		ret = store_error(store, rc, what, e);
	sqlite3_reset(stmt);
	sqlite3_clear_bindings(stmt);
	return ret;
}

static int lock_dir(struct store *store, const char *dir, struct err *e)
{
	char path[sizeof(store->path)];

	if (mkdir(dir, 0700) != 0 && errno != EEXIST)
		return err_sys(e, errno, "cannot make the state directory %s", dir);
	if ((size_t)snprintf(path, sizeof(path), "%s/lock", dir) >= sizeof(path) ||
	    (size_t)snprintf(store->path, sizeof(store->path), "%s/controller.db", dir) >=
		    sizeof(store->path))
		return err_set(e, ERR_TOOBIG, "the path of the state directory is too long");
	store->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (store->lock < 0)
		return err_sys(e, errno, "cannot use the state directory %s", dir);
	if (flock(store->lock, LOCK_EX | LOCK_NB) == 0)
		return ERR_OK;
	if (errno == EWOULDBLOCK)
		return err_set(e, ERR_EXISTS, "another controller uses the state directory %s",
			       dir);
	return err_sys(e, errno, "cannot lock the state directory %s", dir);
}

/* The first column of the first row of a query, as a number. */
static int ask(struct store *store, const char *sql, sqlite3_int64 *out, struct err *e)
{
	sqlite3_stmt *stmt;
	int rc = sqlite3_prepare_v2(store->db, sql, -1, &stmt, NULL);

	if (rc == SQLITE_OK)
		rc = sqlite3_step(stmt);
	if (rc == SQLITE_ROW)
		*out = sqlite3_column_int64(stmt, 0);
	else
		store_error(store, rc, "read", e);
	sqlite3_finalize(stmt);
	return rc == SQLITE_ROW ? ERR_OK : e->code;
}

static int run_sql(struct store *store, const char *sql, const char *what, struct err *e)
{
	int rc = sqlite3_exec(store->db, sql, NULL, NULL, NULL);

	return rc == SQLITE_OK ? ERR_OK : store_error(store, rc, what, e);
}

static int make_schema(struct store *store, struct err *e)
{
	char pragmas[96];
	int ret = run_sql(store, "BEGIN IMMEDIATE", "write", e);

	snprintf(pragmas, sizeof(pragmas), "PRAGMA application_id=%d; PRAGMA user_version=%d",
		 APPLICATION_ID, SCHEMA_VERSION);
	if (!ret)
		ret = run_sql(store, schema, "write", e);
	if (!ret)
		ret = run_sql(store, pragmas, "write", e);
	return ret ? ret : run_sql(store, "COMMIT", "write", e);
}

static int check_integrity(struct store *store, struct err *e)
{
	sqlite3_stmt *stmt;
	bool good = false;
	int rc = sqlite3_prepare_v2(store->db, "PRAGMA quick_check(1)", -1, &stmt, NULL);

	if (rc == SQLITE_OK)
		rc = sqlite3_step(stmt);
	if (rc == SQLITE_ROW)
		good = strcmp((const char *)sqlite3_column_text(stmt, 0), "ok") == 0;
	sqlite3_finalize(stmt);
	if (rc != SQLITE_ROW)
		return store_error(store, rc, "read", e);
	return good ? ERR_OK : store_error(store, SQLITE_CORRUPT, "read", e);
}

static int check_schema(struct store *store, struct err *e)
{
	sqlite3_int64 application = 0, version = 0, tables = 0;
	int ret = ask(store, "PRAGMA application_id", &application, e);

	if (!ret)
		ret = ask(store, "PRAGMA user_version", &version, e);
	if (!ret)
		ret = ask(store, "SELECT count(*) FROM sqlite_schema", &tables, e);
	if (ret)
		return ret;
	if (!application && !version && !tables)
		return make_schema(store, e);
	if (application != APPLICATION_ID)
		return err_set(e, ERR_SYS, "%s is a database of something else", store->path);
	if (version != SCHEMA_VERSION)
		return err_set(e, ERR_VERSION,
			       "the database %s has schema %lld; this controller knows %d",
			       store->path, (long long)version, SCHEMA_VERSION);
	return check_integrity(store, e);
}

static int prepare(struct store *store, struct err *e)
{
	static const char *const sql[] = {
#define X(name, text) text,
		STORE_STATEMENTS(X)
#undef X
	};
	int rc;

	for (int i = 0; i < STORE_STATEMENT_COUNT; i++) {
		rc = sqlite3_prepare_v3(store->db, sql[i], -1, SQLITE_PREPARE_PERSISTENT,
					&store->statements[i], NULL);
		if (rc != SQLITE_OK)
			return store_error(store, rc, "use", e);
	}
	return ERR_OK;
}

static int open_database(struct store *store, struct err *e)
{
	mode_t mask = umask(0077); /* the log gets the database's mode */
	int rc = sqlite3_open_v2(store->path, &store->db,
				 SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX,
				 NULL);

	umask(mask);
	if (rc != SQLITE_OK)
		return store_error(store, rc, "open", e);
	sqlite3_extended_result_codes(store->db, 1);
	return run_sql(
		store,
		"PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; "
		"PRAGMA trusted_schema=OFF",
		"open", e);
}

static int meta(struct store *store, const char *key, uint64_t *out, struct err *e)
{
	sqlite3_stmt *stmt = store_stmt(store, STORE_LOAD_META);
	int rc;

	sqlite3_bind_text(stmt, 1, key, -1, SQLITE_STATIC);
	rc = sqlite3_step(stmt);
	*out = rc == SQLITE_ROW ? (uint64_t)sqlite3_column_int64(stmt, 0) : 0;
	sqlite3_reset(stmt);
	return rc == SQLITE_ROW || rc == SQLITE_DONE ? ERR_OK : store_error(store, rc, "read", e);
}

static int count_epoch(struct store *store, struct err *e)
{
	sqlite3_stmt *stmt = store_stmt(store, STORE_SET_META);
	uint64_t epoch;
	int ret = meta(store, "epoch", &epoch, e);

	if (!ret)
		ret = meta(store, "next_vm", &store->next_vm, e);
	if (!ret)
		ret = store_begin(store, e);
	if (ret)
		return ret;
	if (!store->next_vm)
		store->next_vm = 1;
	store->epoch = (uint32_t)epoch + 1 ? (uint32_t)epoch + 1 : 1;
	sqlite3_bind_text(stmt, 1, "epoch", -1, SQLITE_STATIC);
	sqlite3_bind_int64(stmt, 2, store->epoch);
	ret = store_run(store, STORE_SET_META, "write", e);
	return ret ? ret : store_commit(store, e);
}

int store_open(const char *dir, struct store **out, struct err *e)
{
	struct store *store = calloc(1, sizeof(*store));
	struct err scratch = {0};
	int ret;

	e = e ? e : &scratch;
	if (!store)
		return err_set(e, ERR_NOMEM, "no memory for the store");
	store->lock = -1;
	ret = lock_dir(store, dir, e);
	if (!ret)
		ret = open_database(store, e);
	if (!ret)
		ret = check_schema(store, e);
	if (!ret)
		ret = prepare(store, e);
	if (!ret)
		ret = count_epoch(store, e);
	if (ret) {
		store_close(store);
		return ret;
	}
	*out = store;
	return ERR_OK;
}

void store_close(struct store *store)
{
	if (!store)
		return;
	for (int i = 0; i < STORE_STATEMENT_COUNT; i++)
		sqlite3_finalize(store->statements[i]);
	sqlite3_close(store->db);
	fd_close(&store->lock);
	free(store);
}

uint32_t store_epoch(const struct store *store)
{
	return store->epoch;
}

uint64_t store_next_vm(const struct store *store)
{
	return store->next_vm;
}
