#include "inference/compress/job.h"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <sys/utsname.h>

#include <algorithm>
#include <cctype>
#include <chrono>
#include <ctime>
#include <fstream>
#include <map>
#include <optional>
#include <system_error>
#include <vector>

#include "inference/gguf/rewrite.h"
#include "inference/llama_gguf.h"
#include "inference/llama_quality.h"
#include "inference/llama_quantize.h"
#include "inference/llama_runtime.h"
#include "services/common/digest.h"

namespace allod::inference::compress {
namespace {

namespace fs = std::filesystem;
using gguf::GgufSummary;
using nlohmann::json;

constexpr std::size_t kEvaluationTextBytesMax = 4 << 20;

struct Text {
  std::string content;
  std::string sha256;
};

Result<Text> ReadEvaluationText(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  Text text;
  text.content.resize(kEvaluationTextBytesMax + 1);
  in.read(text.content.data(), static_cast<std::streamsize>(text.content.size()));
  text.content.resize(in.gcount() > 0 ? static_cast<std::size_t>(in.gcount()) : 0);
  if (text.content.empty() || text.content.size() > kEvaluationTextBytesMax) {
    return FailedPrecondition("EVALUATION_TEXT_UNREADABLE",
                              fmt::format("the evaluation text {} must be a readable file of 1 byte to {} MiB",
                                          path.string(), kEvaluationTextBytesMax >> 20));
  }
  text.sha256 = Sha256Hex(text.content);
  return text;
}

Result<std::string> FileSha256(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  Sha256 digest;
  std::vector<char> buffer(1 << 20);
  while (in.read(buffer.data(), static_cast<std::streamsize>(buffer.size())) || in.gcount() > 0) {
    digest.Update(buffer.data(), static_cast<std::size_t>(in.gcount()));
  }
  if (!in.eof()) return Internal("cannot read back the compressed file");
  return digest.FinishHex();
}

// The processor and how much of it was used: what a speed figure means nothing without.
std::string MeasuredOn(int threads) {
  std::string processor;
  std::ifstream in("/proc/cpuinfo");
  for (std::string line; processor.empty() && std::getline(in, line);) {
    if (line.starts_with("model name") && line.find(": ") != std::string::npos)
      processor = line.substr(line.find(": ") + 2);
  }
  utsname name{};
  if (processor.empty() && uname(&name) == 0) processor = name.machine;
  return fmt::format("{}, {} thread{}", processor, threads, threads == 1 ? "" : "s");
}

json TensorTypes(const GgufSummary& summary) {
  json types = json::object();
  for (const auto& [name, count] : summary.tensors_by_type) {
    std::string upper = name;
    std::ranges::transform(upper, upper.begin(), [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
    types[upper] = count;
  }
  return types;
}

json Report(const Quality& q, const GgufSummary& file, const llama_model& model, const Text& text) {
  const ModelFacts facts = FactsOf(model);
  const std::time_t now = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
  return {
      {"bytes", file.file_bytes},
      {"bits_per_weight", static_cast<double>(facts.tensor_bytes) * 8 / static_cast<double>(facts.parameters)},
      {"perplexity", q.perplexity},
      {"source_perplexity", q.source_perplexity},
      {"mean_kl_divergence", q.mean_kl_divergence},
      {"top1_agreement", q.top1_agreement},
      {"evaluated_tokens", q.evaluated_tokens},
      {"evaluation_text_sha256", text.sha256},
      {"decode_tokens_per_second", q.decode_tokens_per_second},
      {"prefill_tokens_per_second", q.prefill_tokens_per_second},
      {"measured_on", MeasuredOn(q.threads)},
      {"measure_time", fmt::format("{:%Y-%m-%dT%H:%M:%S}Z", fmt::gmtime(now))},
  };
}

// The header, made canonical, then every weight.
Result<gguf::CanonicalFile> OpenChecked(const JobOptions& options) {
  const fs::path directory = options.output.empty() ? fs::temp_directory_path() : options.output.parent_path();
  ALLOD_TRY(gguf::CanonicalFile file, gguf::OpenCanonical(options.input, directory.empty() ? "." : directory));
  ALLOD_CHECK_OK(ValidateTensorData(file.path()));
  return file;
}

// A model that passed everything that can be known without computing with it.
Result<LlamaModelPtr> LoadGenerative(const gguf::CanonicalFile& file, const LoadOptions& load = {}) {
  ALLOD_TRY(LlamaModelPtr model, LoadModel(file.fd(), load));
  ALLOD_CHECK_OK(CheckGenerative(*model));
  if (FactsOf(*model).parameters == 0) {
    return InvalidArgument("MODEL_NOT_LOADABLE", "the model has no parameters");
  }
  return model;
}

Status CheckOutput(const JobOptions& options) {
  std::error_code ignored;
  if (!fs::equivalent(options.input, options.output, ignored)) return {};
  return InvalidArgument("OUTPUT_IS_INPUT", "the output cannot replace the file it is made from");
}

// Removes the file unless it is kept.
class OutputFile {
 public:
  explicit OutputFile(fs::path path) : path_(std::move(path)) {}
  ~OutputFile() {
    std::error_code ignored;
    if (!kept_) fs::remove(path_, ignored);
  }
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;
  void Keep() { kept_ = true; }

 private:
  fs::path path_;
  bool kept_ = false;
};

}  // namespace

Result<json> Inspect(const JobOptions& options, JobOutput& out) {
  out.Progress("validating", 0, 0.1, 0);
  JobOptions checked = options;
  std::optional<OutputFile> output;
  if (!options.output.empty()) {
    ALLOD_CHECK_OK(CheckOutput(options));
    ALLOD_TRY(const bool canonical, gguf::IsCanonical(options.input));
    if (!canonical) {
      ALLOD_CHECK_OK(gguf::WriteCanonical(options.input, options.output));
      output.emplace(options.output);
      checked.input = options.output;
    }
  }
  ALLOD_TRY(const gguf::CanonicalFile file, OpenChecked(checked));
  const GgufSummary& summary = file.model().header.summary;
  ALLOD_TRY(const Text text, ReadEvaluationText(options.evaluation_text));
  out.Progress("loading", 0.1, 0.3, 0);
  ALLOD_TRY(const LlamaModelPtr model, LoadGenerative(file));
  const ModelFacts facts = FactsOf(*model);
  ALLOD_TRY(const Quality quality, MeasureQuality(*model, nullptr, text.content, options.threads,
                                                  [&](double share) { out.Progress("measuring", 0.3, 1, share); }));
  json result{
      {"architecture", facts.architecture},
      {"parameter_count", facts.parameters},
      {"trained_context_tokens", facts.context_train},
      {"vocabulary_size", facts.vocabulary},
      {"has_chat_template", facts.has_chat_template},
      {"kv_bytes_per_token", file.model().shape.kv_bytes_per_token()},
      {"quality", Report(quality, summary, *model, text)},
      {"tensor_types", TensorTypes(summary)},
  };
  if (!options.output.empty()) {
    ALLOD_TRY(result["artifact_sha256"], FileSha256(file.path()));
    result["artifact_bytes"] = summary.file_bytes;
  }
  if (output) output->Keep();
  return result;
}

Result<json> Compress(const JobOptions& options, JobOutput& out) {
  ALLOD_CHECK_OK(CheckCompressionType(options.type));
  ALLOD_CHECK_OK(CheckOutput(options));
  out.Progress("validating", 0, 0.05, 0);
  ALLOD_TRY(const gguf::CanonicalFile source_file, OpenChecked(options));
  ALLOD_TRY(const Text text, ReadEvaluationText(options.evaluation_text));
  // The loader refuses more than the quantiser, and with reasons.
  ALLOD_CHECK_OK(LoadGenerative(source_file, {.use_extra_bufts = false}));
  OutputFile output(options.output);
  out.Progress("quantising", 0.05, 0.5, 0);
  ALLOD_CHECK_OK(Quantize(source_file.path(), options.output, options.type, options.threads,
                          [&](double share) { out.Progress("quantising", 0.05, 0.5, share); }));
  // What came out is made canonical and checked like what came in.
  ALLOD_CHECK_OK(gguf::WriteCanonical(options.output, options.output));
  ALLOD_TRY(const gguf::CanonicalFile file, OpenChecked({.input = options.output, .output = options.output}));
  const GgufSummary& summary = file.model().header.summary;
  ALLOD_TRY(const std::string sha256, FileSha256(file.path()));
  out.Progress("loading", 0.5, 0.55, 0);
  ALLOD_TRY(const LlamaModelPtr source, LoadGenerative(source_file));
  ALLOD_TRY(const LlamaModelPtr variant, LoadGenerative(file));
  ALLOD_TRY(const Quality quality, MeasureQuality(*source, variant.get(), text.content, options.threads,
                                                  [&](double share) { out.Progress("measuring", 0.55, 1, share); }));
  output.Keep();
  return json{
      {"artifact_sha256", sha256},
      {"artifact_bytes", summary.file_bytes},
      {"quality", Report(quality, summary, *variant, text)},
      {"tensor_types", TensorTypes(summary)},
  };
}

}  // namespace allod::inference::compress
