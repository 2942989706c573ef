// What a worker does to itself between being forked and serving, in this order and in one place: the product and the
// benchmark that tries to break out of it call the same functions.
#pragma once

#include "inference/sandbox/layers.h"
#include "inference/sandbox/seccomp.h"

namespace allod::inference::sandbox {

// First, before there are threads that it would not cover.
void ConfineBeforeThreads(Layers& layers);

// When the engine has its memory: little may come on top. `statm` is its own /proc/self/statm, or -1 (then memory is
// left to control groups).
void ConfineResources(int statm, Layers& layers);

// At last, for all threads: the serving filter, or one made here when `prepared` is null. Whether it took effect.
bool ConfineSystemCalls(const SyscallFilter* prepared, Layers& layers);

}  // namespace allod::inference::sandbox
