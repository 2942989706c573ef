// libllama, started once per process, and models loaded with it: the only door to llama.cpp besides the other llama_*
// files.
//
// Everything here may be called from any thread. A loaded model is immutable and may be shared by several contexts;
// free it after the last one. No thread of llama.cpp runs before the first context exists, so a process may fork after
// LoadModel.
//
// LoadModel is for files that this platform wrote. Anything else goes through LoadCheckedModel (llama_gguf.h):
// llama.cpp trusts headers more than it should and ends the process on some impossible shapes.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>

#include "services/common/result.h"

struct llama_model;
struct ggml_threadpool;

namespace allod::inference::model {

// Loads the compute backends (the CPU one is built once per processor level; the best is chosen here) and sends
// llama.cpp's log lines to ours: its warnings as warnings, the rest as debug. Later calls return the first call's
// answer. The directory is ALLOD_LLAMA_BACKENDS from the environment, else the one known at build time.
// FAILED_PRECONDITION / NO_COMPUTE_BACKEND.
Status InitLlama();

// While true, what llama.cpp calls an error on this thread is logged as debug: for failures that we asked it for.
void ExpectLlamaErrors(bool expected);

// While one lives, llama.cpp is given what a client sent, on this thread: nothing of what it says reaches a log or
// standard error, because it may quote it. The first error is kept. They do not nest.
class ClientsText {
 public:
  ClientsText();
  ~ClientsText();
  ClientsText(const ClientsText&) = delete;
  ClientsText& operator=(const ClientsText&) = delete;
};

// The first error that llama.cpp reported on this thread since ExpectLlamaErrors(true), a ClientsText or a load; empty
// if none.
std::string LastLlamaError();

struct ModelDeleter {
  void operator()(llama_model* model) const;
};
using LlamaModelPtr = std::unique_ptr<llama_model, ModelDeleter>;

struct LoadOptions {
  // Read the weights into memory of this process instead of mapping the file. Mapped pages are shared with every other
  // process that maps the file, which is what a dedicated instance does not want.
  bool private_weights = false;
  // Repack weights for this processor: decode about 1.13 times and prefill 1.47 times faster, but the weights become
  // private memory of the process. Must be off for training and for reading activations of the plain weights.
  bool use_extra_bufts = true;
  // Only the tokeniser.
  bool vocab_only = false;
};

// InitLlama() is called if it was not. INVALID_ARGUMENT / MODEL_NOT_LOADABLE with what llama.cpp said.
Result<LlamaModelPtr> LoadModel(const std::filesystem::path& path, const LoadOptions& options = {});
// The same from an open file, read from its start. The descriptor stays the caller's and may be closed afterwards; its
// position is undefined.
Result<LlamaModelPtr> LoadModel(int fd, const LoadOptions& options = {});

struct ModelFacts {
  std::string architecture;  // "llama"
  std::string description;   // "llama 1B Q4_K - Medium"
  std::uint64_t parameters = 0;
  std::uint64_t tensor_bytes = 0;
  std::int32_t context_train = 0;  // tokens the model was trained for
  std::int32_t vocabulary = 0;     // tokens; 0 for a model without a tokeniser
  std::int32_t embedding = 0;
  std::int32_t layers = 0;
  bool has_encoder = false;
  bool has_decoder = false;
  bool is_recurrent = false;
  bool is_diffusion = false;  // does not continue text token by token
  bool has_chat_template = false;
  bool has_end_token = false;  // some token ends a generation
};
ModelFacts FactsOf(const llama_model& model);

// Threads to compute this model with: one core each, but one thread for a model of less than 50 M parameters. Its steps
// are so short that threads mostly wait for each other, and where other processes want the cores too they wait for
// whole time slices.
int SuitableThreads(const ModelFacts& facts);

struct ThreadpoolDeleter {
  void operator()(ggml_threadpool* pool) const;
};
using ThreadpoolPtr = std::unique_ptr<ggml_threadpool, ThreadpoolDeleter>;

// A pool whose idle threads sleep (`poll` 0) instead of spinning, so that processes that share the cores do not stop
// each other; llama.cpp's own default is 50. Must outlive the context it is attached to. Null when the backend offers
// none; llama.cpp then makes its own threads.
ThreadpoolPtr MakeThreadpool(int threads, std::uint32_t poll = 0);

}  // namespace allod::inference::model
