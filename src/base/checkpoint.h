/* Checkpoints: a task that is interrupted goes on from where it saved itself, with the bits it would have
 * had.
 *
 * Who runs tasks (the farm) says where the file is and when to save; the task says what there is to save:
 *
 *     lo_checkpoint checkpoint = {0};                    the stage's, for as long as its tasks run
 *     lo_trainer_checkpoint(trainer, &checkpoint);       tells the trainer, once
 *     work.checkpoint = &checkpoint;                     tells the farm, which fills it before each task
 *
 * and add checkpoint.seconds, the time that earlier parts of the task took, to what is measured in this one.
 *
 * A file is a header of 40 bytes, the pieces that were written one after the other, and the CRC-32 of all
 * that; little-endian (docs/study-format.md). */
#ifndef LEAVEOUT_BASE_CHECKPOINT_H
#define LEAVEOUT_BASE_CHECKPOINT_H

#include "base/file.h"
#include "base/status.h"
#include "base/tick.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

typedef enum lo_save {
    LO_SAVE_NOTHING,
    LO_SAVE_AND_GO_ON,
    LO_SAVE_AND_STOP /* then return LO_STOPPED */
} lo_save;

typedef struct lo_checkpoint {
    char file[4096]; /* "": there is none, and nothing is asked */
    uint64_t digest; /* of the keys that the task's result depends on */
    /* Called wherever the task could be saved, with the share of it that is done, 0 to 1. NULL: never. */
    lo_save (*ask)(void *self, double share);
    /* Called after each save, and with a text for people when the file is refused or cannot be written; NULL:
     * nobody cares. */
    void (*saved)(void *self, double share);
    void (*warn)(void *self, const char *text);
    void *self;

    /* Set by the task. */
    double seconds;  /* what the parts of this task took that were saved before this one began */
    bool there;      /* the file exists */
    bool complained; /* that it cannot be written: once is enough */
} lo_checkpoint;

/* Writing: a temporary file, then synced and renamed, so that a kill leaves the former checkpoint. `size` is
 * what all the puts will be together. A put calls tick every some megabytes. End publishes, or with a status
 * that is not LO_OK removes the temporary file and returns it. Errors: LO_IO; what tick returned. */
typedef struct lo_checkpoint_writer {
    lo_file to;
    const lo_tick *tick;
    uint32_t crc;
} lo_checkpoint_writer;
lo_status lo_checkpoint_begin(const lo_checkpoint *checkpoint, uint64_t size, const lo_tick *tick,
                              lo_checkpoint_writer *out, lo_error *err);
lo_status lo_checkpoint_put(lo_checkpoint_writer *writer, const void *data, size_t size, lo_error *err);
lo_status lo_checkpoint_end(lo_checkpoint_writer *writer, lo_status status, lo_error *err);

/* Reading. Open sets *found to whether there is a file, and takes it only when it is of this digest and sound
 * to its end, by its checksum. Gets then fill memory with the pieces, and close says whether all were taken;
 * it closes whatever `status` is, and returns that if it is not LO_OK. Errors: LO_DATA for a file that is
 * damaged or another job's, or has other pieces; LO_IO; what tick returned. */
typedef struct lo_checkpoint_reader {
    FILE *from;
    const char *file;
    const lo_tick *tick;
    uint64_t left; /* bytes of pieces */
} lo_checkpoint_reader;
lo_status lo_checkpoint_open(const lo_checkpoint *checkpoint, const lo_tick *tick, bool *found,
                             lo_checkpoint_reader *out, lo_error *err);
lo_status lo_checkpoint_get(lo_checkpoint_reader *reader, void *data, size_t size, lo_error *err);
lo_status lo_checkpoint_close(lo_checkpoint_reader *reader, lo_status status, lo_error *err);

/* Says to people what is wrong with the file, and what the task does then: such a file costs time, never the
 * task. */
void lo_checkpoint_complain(const lo_checkpoint *checkpoint, const lo_error *why, const char *then);

/* Removes the file of a task that is finished, if there is one. */
void lo_checkpoint_remove(lo_checkpoint *checkpoint);

#endif
