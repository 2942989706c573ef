#include "inference/engine/llama_scratch.h"

#include <ggml-backend.h>
#include <ggml.h>
#include <llama.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <string_view>

namespace allod::inference::engine {
namespace {

// The whole pages within.
void GiveBackPages(void* begin, std::size_t bytes) {
  const auto page = static_cast<std::uintptr_t>(sysconf(_SC_PAGESIZE));
  const auto at = reinterpret_cast<std::uintptr_t>(begin);
  const std::uintptr_t first = (at + page - 1) / page * page;
  const std::uintptr_t last = (at + bytes) / page * page;
  if (at == 0 || last <= first) return;
  madvise(reinterpret_cast<void*>(first), last - first, MADV_DONTNEED);  // NOLINT(performance-no-int-to-ptr)
}

// Memory of a device is its own matter.
void GiveBackPages(ggml_backend_buffer* buffer) {
  if (buffer == nullptr || !ggml_backend_buffer_is_host(buffer)) return;
  GiveBackPages(ggml_backend_buffer_get_base(buffer), ggml_backend_buffer_get_size(buffer));
}

}  // namespace

void ScratchMemory::Watch(llama_context_params& params) {
  params.cb_eval = &ScratchMemory::OnNode;
  params.cb_eval_user_data = this;
}

// Asked of each node before a step is computed; we want to see none. What a node writes that is no view of something
// else lies in the compute buffer; what it views that is neither there nor a weight is a cell of the cache.
bool ScratchMemory::OnNode(ggml_tensor* node, bool /*ask*/, void* self) {
  auto& scratch = *static_cast<ScratchMemory*>(self);
  if (node->view_src != nullptr) {
    scratch.NoteCells(*node->view_src);
  } else if (scratch.compute_ == nullptr && node->op != GGML_OP_NONE && node->buffer != nullptr &&
             ggml_backend_buffer_get_usage(node->buffer) == GGML_BACKEND_BUFFER_USAGE_COMPUTE) {
    scratch.compute_ = node->buffer;
  }
  return false;
}

void ScratchMemory::NoteCells(const ggml_tensor& viewed) {
  ggml_backend_buffer* const buffer = viewed.buffer;
  if (buffer == nullptr || ggml_backend_buffer_get_usage(buffer) != GGML_BACKEND_BUFFER_USAGE_ANY) return;
  // llama.cpp's name for it. Asked too, because to give back anything else would be to lose it.
  if (!std::string_view(viewed.name).starts_with("cache_")) return;
  const auto place =
      std::ranges::find_if(cells_, [&](const auto* known) { return known == nullptr || known == buffer; });
  if (place != cells_.end()) *place = buffer;
}

void ScratchMemory::GiveBackCells() const {
  for (ggml_backend_buffer* buffer : cells_) GiveBackPages(buffer);
}

void ScratchMemory::GiveBack(llama_context& context, std::size_t output_bytes) const {
  GiveBackPages(llama_get_logits(&context), output_bytes);
  GiveBackPages(compute_);
}

}  // namespace allod::inference::engine
