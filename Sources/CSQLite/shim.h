// SQLite: the store behind the log API.
#pragma once
#include <sqlite3.h>

// SQLITE_TRANSIENT is a cast macro, which Swift does not import: SQLite copies what is bound with it.
static inline sqlite3_destructor_type csqlite_transient(void) { return SQLITE_TRANSIENT; }

// Variadic, so not for Swift. Without statistics SQLite allocates without a lock that all connections share. Only before the
// first connection.
static inline void csqlite_without_statistics(void) { sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0); }
