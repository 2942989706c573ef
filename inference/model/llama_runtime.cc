#include "inference/model/llama_runtime.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <llama.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <string_view>
#include <thread>

#include "services/common/log.h"
#include "services/common/owned_fd.h"

namespace allod::inference::model {
namespace {

// What llama.cpp reported as an error on this thread; it returns only a null pointer, the reason goes to its log.
// The first one is the most precise.
thread_local std::string first_llama_error;
thread_local bool errors_are_expected = false;

// Set while what llama.cpp says may quote a client.
thread_local bool quotes_client = false;
// What it printed then, instead of reporting it; no memory is taken where the printing may be for lack of it.
thread_local std::array<char, 300> printed{};
thread_local std::size_t printed_bytes = 0;

ssize_t OnPrinted(void* /*cookie*/, const char* text, std::size_t bytes) {
  if (!quotes_client) return write(STDERR_FILENO, text, bytes);
  const std::size_t kept = std::min(bytes, printed.size() - printed_bytes);
  std::copy_n(text, kept, printed.data() + printed_bytes);
  printed_bytes += kept;
  return static_cast<ssize_t>(bytes);
}

// The library prints a grammar that it cannot parse to `stderr`, past its own log. Unbuffered, so that each thread
// writes what it printed itself.
void WatchPrinting() {
  std::FILE* file = fopencookie(nullptr, "w", {.read = nullptr, .write = OnPrinted, .seek = nullptr, .close = nullptr});
  if (file == nullptr) return;
  std::setvbuf(file, nullptr, _IONBF, 0);
  stderr = file;
}

void OnLlamaLog(ggml_log_level level, const char* text, void* /*user_data*/) {
  std::string_view line = text;
  while (!line.empty() && (line.back() == '\n' || line.back() == ' ')) line.remove_suffix(1);
  // Progress dots and continued lines carry nothing a reader of the log wants.
  if (line.empty() || line == "." || level == GGML_LOG_LEVEL_CONT || level == GGML_LOG_LEVEL_NONE) return;
  const bool is_error = level == GGML_LOG_LEVEL_ERROR;
  if (is_error && first_llama_error.empty()) first_llama_error = line;
  if (quotes_client) return;
  const bool warn = is_error && !errors_are_expected;
  Log(warn ? LogLevel::kWarning : LogLevel::kDebug, line, {{"from", "llama.cpp"}});
}

Status StartBackends() {
  WatchPrinting();
  llama_log_set(OnLlamaLog, nullptr);
  const char* configured = std::getenv("ALLOD_LLAMA_BACKENDS");
  const std::string directory = configured != nullptr && *configured != '\0' ? configured : ALLOD_LLAMA_BACKENDS;
  ggml_backend_load_all_from_path(directory.c_str());
  if (ggml_backend_dev_by_type(GGML_BACKEND_DEVICE_TYPE_CPU) == nullptr) {
    return FailedPrecondition(
        "NO_COMPUTE_BACKEND",
        fmt::format("no libggml-cpu-*.so that fits this processor in {}; set ALLOD_LLAMA_BACKENDS to "
                    "the directory that holds them",
                    directory));
  }
  llama_backend_init();
  return {};
}

std::string MetaString(const llama_model& model, const char* key) {
  char value[256];
  return llama_model_meta_val_str(&model, key, value, sizeof(value)) >= 0 ? value : "";
}

bool HasEndToken(const llama_vocab* vocab) {
  const int tokens = llama_vocab_n_tokens(vocab);
  for (llama_token token = 0; token < tokens; ++token) {
    if (llama_vocab_is_eog(vocab, token)) return true;
  }
  return false;
}

template <typename LoadIt>
Result<LlamaModelPtr> Load(const LoadOptions& options, const std::string& name, LoadIt&& load_it) {
  ALLOD_CHECK_OK(InitLlama());
  llama_model_params params = llama_model_default_params();
  params.load_mode = options.private_weights ? LLAMA_LOAD_MODE_NONE : LLAMA_LOAD_MODE_MMAP;
  params.use_extra_bufts = options.use_extra_bufts;
  params.vocab_only = options.vocab_only;
  first_llama_error.clear();
  try {
    if (LlamaModelPtr model(load_it(params)); model) return model;
  } catch (const std::exception& e) {
    first_llama_error = e.what();
  }
  return InvalidArgument("MODEL_NOT_LOADABLE",
                         fmt::format("{}: llama.cpp {} cannot load this model: {}", name, llama_version(),
                                     first_llama_error.empty() ? "no reason given" : first_llama_error));
}

}  // namespace

Status InitLlama() {
  static std::once_flag once;
  static Status status;
  std::call_once(once, [] { status = StartBackends(); });
  return status;
}

void ExpectLlamaErrors(bool expected) {
  errors_are_expected = expected;
  if (!expected) return;
  first_llama_error.clear();
  printed_bytes = 0;
}

ClientsText::ClientsText() {
  ExpectLlamaErrors(true);
  printed_bytes = 0;
  quotes_client = true;
}

ClientsText::~ClientsText() { quotes_client = errors_are_expected = false; }

// What was printed came before what was reported, and says more.
std::string LastLlamaError() {
  const std::string_view text(printed.data(), printed_bytes);
  const std::string_view line = text.substr(0, text.find('\n'));
  return line.empty() ? first_llama_error : std::string(line);
}

void ModelDeleter::operator()(llama_model* model) const { llama_model_free(model); }

Result<LlamaModelPtr> LoadModel(const std::filesystem::path& path, const LoadOptions& options) {
  return Load(options, path.filename().string(),
              [&](const llama_model_params& params) { return llama_model_load_from_file(path.c_str(), params); });
}

Result<LlamaModelPtr> LoadModel(int fd, const LoadOptions& options) {
  OwnedFd own(fcntl(fd, F_DUPFD_CLOEXEC, 0));
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(own ? fdopen(own.get(), "rb") : nullptr, &std::fclose);
  if (!file) {
    return Internal(fmt::format("the model's descriptor cannot be opened: {}", std::strerror(errno)));
  }
  own.Release();
  std::rewind(file.get());
  return Load(options, "the model",
              [&](const llama_model_params& params) { return llama_model_load_from_file_ptr(file.get(), params); });
}

ModelFacts FactsOf(const llama_model& model) {
  ModelFacts facts;
  facts.architecture = MetaString(model, "general.architecture");
  char description[256] = "";
  llama_model_desc(&model, description, sizeof(description));
  facts.description = description;
  facts.parameters = llama_model_n_params(&model);
  facts.tensor_bytes = llama_model_size(&model);
  facts.context_train = llama_model_n_ctx_train(&model);
  facts.embedding = llama_model_n_embd(&model);
  facts.layers = llama_model_n_layer(&model);
  facts.has_encoder = llama_model_has_encoder(&model);
  facts.has_decoder = llama_model_has_decoder(&model);
  facts.is_recurrent = llama_model_is_recurrent(&model);
  facts.is_diffusion = llama_model_is_diffusion(&model);
  facts.has_chat_template = llama_model_chat_template(&model, nullptr) != nullptr;
  const llama_vocab* vocab = llama_model_get_vocab(&model);
  if (llama_vocab_type(vocab) != LLAMA_VOCAB_TYPE_NONE) {
    facts.vocabulary = llama_vocab_n_tokens(vocab);
    facts.has_end_token = HasEndToken(vocab);
  }
  return facts;
}

int SuitableThreads(const ModelFacts& facts) {
  constexpr std::uint64_t kParametersMin = 50'000'000;
  if (facts.parameters < kParametersMin) return 1;
  return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

void ThreadpoolDeleter::operator()(ggml_threadpool* pool) const {
  ggml_backend_reg_t cpu = ggml_backend_dev_backend_reg(ggml_backend_dev_by_type(GGML_BACKEND_DEVICE_TYPE_CPU));
  const auto free_pool =
      reinterpret_cast<decltype(&ggml_threadpool_free)>(ggml_backend_reg_get_proc_address(cpu, "ggml_threadpool_free"));
  free_pool(pool);
}

ThreadpoolPtr MakeThreadpool(int threads, std::uint32_t poll) {
  ggml_backend_dev_t device = ggml_backend_dev_by_type(GGML_BACKEND_DEVICE_TYPE_CPU);
  if (device == nullptr) return nullptr;
  ggml_backend_reg_t cpu = ggml_backend_dev_backend_reg(device);
  const auto new_pool =
      reinterpret_cast<decltype(&ggml_threadpool_new)>(ggml_backend_reg_get_proc_address(cpu, "ggml_threadpool_new"));
  if (new_pool == nullptr || ggml_backend_reg_get_proc_address(cpu, "ggml_threadpool_free") == nullptr) return nullptr;
  ggml_threadpool_params params = ggml_threadpool_params_default(threads);
  params.poll = poll;
  return ThreadpoolPtr(new_pool(&params));
}

}  // namespace allod::inference::model
