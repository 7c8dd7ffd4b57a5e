/* Arenas: memory taken once, handed out in aligned pieces, released at once. Nothing inside a training step
 * allocates. */
#ifndef LEAVEOUT_BASE_ARENA_H
#define LEAVEOUT_BASE_ARENA_H

#include <stddef.h>

typedef struct lo_arena lo_arena;

/* An arena of at least `bytes` bytes, zeroed; NULL when there is no memory. The caller owns it. */
lo_arena *lo_arena_create(size_t bytes);

/* `count` objects of `size` bytes, zeroed, aligned to 64 bytes; NULL when the arena is exhausted or the
 * product overflows. Owned by the arena. */
void *lo_arena_take(lo_arena *arena, size_t count, size_t size);

/* Bytes handed out so far, padding included. */
size_t lo_arena_used(const lo_arena *arena);

/* Releases everything and nulls the handle; accepts NULL. */
void lo_arena_destroy(lo_arena **arena);

#endif
