/* checkpoint.h - what the parts of the checkpoint code share.
 *
 * RUN/checkpoints/step-N/ holds
 *   model.safetensors, config.json  the weights in fp32, in Hugging Face's layout
 *   the tokenizer's file
 *   optimizer.safetensors           AdamW's moments "m.NAME" and "v.NAME" in fp32; metadata "updates": how
 * many were made state.json                      written last:
 *     {"format": "anemone checkpoint", "version": 1, "step": N, "data_position": batches drawn, "tokens":
 * trained on, "seconds": trained, "loss_scale": x, "good_steps": since the scale changed, "rng": [4 numbers
 * in hex], "files": [{"name": ..., "bytes": ..., "crc32": hex}, ...], "crc32": of this object without this
 * member, keys sorted, without spaces}
 *
 * Names that begin with a dot are half-written or half-removed: ".new-step-N", ".old-step-N".
 */
#ifndef ANEMONE_TRAIN_CHECKPOINT_H
#define ANEMONE_TRAIN_CHECKPOINT_H

#include "anemone/train.h"

#include "train/paths.h"

#include <stdint.h>

/* Steps of the checkpoint folders in `run`, newest first. *steps is allocated (free()); a run without any, or
 * no folder at all, gives 0 of them. */
bool ane_checkpoint_list(const char *run, int64_t **steps, int *n, ane_error *e);
/* Remove what a crash has left half-written, and put back what it has left half-replaced. */
bool ane_checkpoint_clean(const char *run, ane_error *e);
/* state.json of a finished folder, with sizes and checksums of every other file in it. */
bool ane_checkpoint_write_state(const char *folder, const ane_train_state *state, ane_error *e);
/* Read state.json; `verify`: compare every file's size and checksum too. */
bool ane_checkpoint_read_state(const char *folder, ane_train_state *state, bool verify, ane_error *e);

#endif
