// The memory that a llama.cpp context computes in: nothing in it outlives a step, so that a process that computes
// nothing for a while can give its pages back.
//
// That is half of what an idle worker has of its own beside its KV cache, and, where many sequences stall, nearly all
// of it: a row of the vocabulary for each. The next step finds zeros, as the first one did, and pays for new pages. For
// the thread that decodes. Internal to the engine.
#pragma once

#include <array>
#include <cstddef>

struct ggml_backend_buffer;
struct ggml_tensor;
struct llama_context;
struct llama_context_params;

namespace allod::inference::engine {

class ScratchMemory {
 public:
  // Before the context is made; must outlive it. Each step shows where the compute buffer is.
  void Watch(llama_context_params& params);
  // Before a step, which may put the compute buffer elsewhere.
  void Forget() { compute_ = nullptr; }
  // The KV cache, which llama.cpp has filled with zeros: until tokens come to lie in them its pages need not be there.
  // After a step has been shown, and while no cell holds anything.
  void GiveBackCells() const;
  // Between two steps, when nobody needs the last one's logits any more. `output_bytes`: of all rows.
  void GiveBack(llama_context& context, std::size_t output_bytes) const;

 private:
  static bool OnNode(ggml_tensor* node, bool ask, void* self);
  void NoteCells(const ggml_tensor& viewed);

  ggml_backend_buffer* compute_ = nullptr;
  std::array<ggml_backend_buffer*, 4> cells_{};  // of each kind of layer: with and without a window, recurrent
};

}  // namespace allod::inference::engine
