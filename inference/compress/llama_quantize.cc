#include "inference/compress/llama_quantize.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <llama.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <exception>
#include <system_error>
#include <utility>

#include "inference/model/llama_runtime.h"

namespace allod::inference::compress {
namespace {

constexpr std::array<std::pair<std::string_view, llama_ftype>, 8> kTypes{{
    {"Q8_0", LLAMA_FTYPE_MOSTLY_Q8_0},
    {"Q6_K", LLAMA_FTYPE_MOSTLY_Q6_K},
    {"Q5_K_M", LLAMA_FTYPE_MOSTLY_Q5_K_M},
    {"Q4_K_M", LLAMA_FTYPE_MOSTLY_Q4_K_M},
    {"Q4_0", LLAMA_FTYPE_MOSTLY_Q4_0},
    {"Q3_K_M", LLAMA_FTYPE_MOSTLY_Q3_K_M},
    {"Q2_K", LLAMA_FTYPE_MOSTLY_Q2_K},
    {"IQ4_NL", LLAMA_FTYPE_MOSTLY_IQ4_NL},
}};

// llama.cpp tells what it does, and why it fails, only through its log. Listens to it, and hands everything on to the
// callback that was there before.
class LogListener {
 public:
  explicit LogListener(const std::function<void(double)>& progress) : progress_(progress) {
    llama_log_get(&previous_, &previous_data_);
    llama_log_set(&LogListener::OnLine, this);
  }
  ~LogListener() { llama_log_set(previous_, previous_data_); }
  LogListener(const LogListener&) = delete;
  LogListener& operator=(const LogListener&) = delete;

  const std::string& last_error() const { return last_error_; }

 private:
  static void OnLine(ggml_log_level level, const char* text, void* self_pointer) {
    auto& self = *static_cast<LogListener*>(self_pointer);
    int tensor = 0;
    int tensors = 0;
    // "[   3/  75] blk.0.attn_k.weight - [...], type = f16, ": printed before the work on that tensor.
    if (level == GGML_LOG_LEVEL_INFO && std::sscanf(text, "[%d/%d]", &tensor, &tensors) == 2 && tensors > 0) {
      self.progress_(std::clamp((tensor - 1.0) / tensors, 0.0, 1.0));
    }
    if (level == GGML_LOG_LEVEL_ERROR) {
      self.last_error_ = text;
      while (!self.last_error_.empty() && self.last_error_.back() == '\n') self.last_error_.pop_back();
    }
    if (self.previous_ != nullptr) self.previous_(level, text, self.previous_data_);
  }

  const std::function<void(double)>& progress_;
  ggml_log_callback previous_ = nullptr;
  void* previous_data_ = nullptr;
  std::string last_error_;
};

// llama.cpp only says that writing failed, not why.
bool IsFull(const std::filesystem::path& partial_file) {
  constexpr std::uintmax_t kRoomLeft = 1 << 20;
  std::error_code error;
  const auto space = std::filesystem::space(partial_file, error);
  return !error && space.available < kRoomLeft;
}

}  // namespace

std::vector<std::string> CompressionTypes() {
  std::vector<std::string> names;
  for (const auto& [name, type] : kTypes) names.emplace_back(name);
  return names;
}

Status CheckCompressionType(std::string_view type) {
  if (std::ranges::find(kTypes, type, &std::pair<std::string_view, llama_ftype>::first) != kTypes.end()) return {};
  return InvalidArgument("UNKNOWN_COMPRESSION", fmt::format("compression `{}` is not offered; one of {} is", type,
                                                            fmt::join(CompressionTypes(), ", ")));
}

Status Quantize(const std::filesystem::path& input, const std::filesystem::path& output, std::string_view type,
                int threads, const std::function<void(double)>& progress) {
  ALLOD_CHECK_OK(CheckCompressionType(type));
  ALLOD_CHECK_OK(model::InitLlama());
  llama_model_quantize_params params = llama_model_quantize_default_params();
  params.nthread = threads;
  params.ftype = std::ranges::find(kTypes, type, &std::pair<std::string_view, llama_ftype>::first)->second;
  params.allow_requantize = true;
  params.max_buf_size = std::size_t{1} << 30;
  std::string reason;
  {
    LogListener log(progress);
    try {
      if (llama_model_quantize(input.c_str(), output.c_str(), &params) == 0) return {};
      reason = log.last_error();
    } catch (const std::exception& e) {
      reason = e.what();
    }
  }
  std::error_code ignored;
  const bool disk_is_full = IsFull(output);  // asked while the partial file is still there
  std::filesystem::remove(output, ignored);
  if (disk_is_full) {
    return Fail(Code::kResourceExhausted, "DISK_FULL",
                "the compressed model cannot be written: there is no room for it; free space and try again");
  }
  return FailedPrecondition("NOT_COMPRESSIBLE",
                            fmt::format("llama.cpp {} cannot compress this model to {}: {}", llama_version(), type,
                                        reason.empty() ? "no reason given" : reason));
}

}  // namespace allod::inference::compress
