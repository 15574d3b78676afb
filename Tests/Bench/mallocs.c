// Counts allocations, for LD_PRELOAD: those of the threads whose name begins with MALLOCS_THREAD; prints them at the end.
//     cc -O2 -shared -fPIC -o mallocs.so Tests/Bench/mallocs.c
//     MALLOCS_THREAD=http-engine LD_PRELOAD=./mallocs.so engine-bench URL 100000
#define _GNU_SOURCE
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

extern void *__libc_malloc(size_t);
extern void *__libc_calloc(size_t, size_t);
extern void *__libc_realloc(void *, size_t);
extern void *__libc_memalign(size_t, size_t);

static atomic_long count;
static const char *wanted;

// For a program that counts its own stretches.
long bench_allocations(void) { return count; }

// The name is asked for each time: a thread gets it after it has begun.
static void note(void) {
    char name[16];
    if (wanted != NULL && prctl(PR_GET_NAME, name) == 0 && strncmp(name, wanted, strlen(wanted)) == 0) count++;
}

void *malloc(size_t size) { note(); return __libc_malloc(size); }
void *calloc(size_t count, size_t size) { note(); return __libc_calloc(count, size); }
void *realloc(void *old, size_t size) { note(); return __libc_realloc(old, size); }
void *aligned_alloc(size_t alignment, size_t size) { note(); return __libc_memalign(alignment, size); }
int posix_memalign(void **result, size_t alignment, size_t size) {
    note();
    *result = __libc_memalign(alignment, size);
    return *result == NULL ? 12 : 0;
}

__attribute__((constructor)) static void begin(void) { wanted = getenv("MALLOCS_THREAD"); }
__attribute__((destructor)) static void end(void) { fprintf(stderr, "{\"mallocs\":%ld}\n", count); }
