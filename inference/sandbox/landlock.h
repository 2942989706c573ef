// Landlock (kernel 5.13 and later): no access to any file by path, no TCP, no abstract socket and no signal to anybody
// outside, on top of namespaces. Descriptors that are open stay usable.
#pragma once

#include "inference/sandbox/layers.h"

namespace allod::inference::sandbox {

// Call before further threads start; needs no_new_privs. Adds the layer if the kernel has it.
void RestrictByLandlock(Layers& layers);

}  // namespace allod::inference::sandbox
