#include "base/arena.h"

#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>

enum { ALIGNMENT = 64 };

struct lo_arena {
    unsigned char *memory;
    size_t size;
    size_t used;
};

lo_arena *lo_arena_create(size_t bytes)
{
    lo_arena *arena = calloc(1, sizeof(*arena));
    if (arena == NULL) {
        return NULL;
    }
    arena->size = bytes > 0 ? bytes : ALIGNMENT;
    /* Anonymous pages: page aligned, zeroed, and only touched ones cost memory. */
    void *memory = mmap(NULL, arena->size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) {
        free(arena);
        return NULL;
    }
    (void)madvise(memory, arena->size, MADV_HUGEPAGE);
    arena->memory = memory;
    return arena;
}

void *lo_arena_take(lo_arena *arena, size_t count, size_t size)
{
    if (size != 0 && count > (SIZE_MAX - ALIGNMENT) / size) {
        return NULL;
    }
    const size_t bytes = (count * size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    if (bytes > arena->size - arena->used) {
        return NULL;
    }
    void *piece = arena->memory + arena->used;
    arena->used += bytes;
    return piece;
}

size_t lo_arena_used(const lo_arena *arena)
{
    return arena->used;
}

void lo_arena_destroy(lo_arena **arena)
{
    if (*arena != NULL) {
        (void)munmap((*arena)->memory, (*arena)->size);
        free(*arena);
        *arena = NULL;
    }
}
