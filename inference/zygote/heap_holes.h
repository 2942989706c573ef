// Takes the free pieces of malloc's heap for good.
//
// What a process frees while it loads a model leaves holes between what it keeps. malloc gives them to whoever asks
// next: a forked child would fill them, and each would make a page of the parent's heap the child's own. Without holes
// what a child allocates lies together, beyond what it shares.
#pragma once

namespace allod::inference::zygote {

// Of malloc's main arena, up to the top of the heap; what was free there is lost. Only while there is no other thread,
// and before the forks. Does nothing where malloc is not glibc's.
void FillHeapHoles();

}  // namespace allod::inference::zygote
