#include "inference/compress/job.h"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <chrono>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <map>
#include <optional>
#include <vector>

#include "inference/compress/llama_quality.h"
#include "inference/compress/llama_quantize.h"
#include "inference/engine/llama_assets.h"
#include "inference/gguf/rewrite.h"
#include "inference/model/llama_gguf.h"
#include "inference/model/llama_runtime.h"
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

std::unexpected<Error> Unreadable() {
  return FailedPrecondition(
      "EVALUATION_TEXT_UNREADABLE",
      fmt::format("the evaluation text must be a readable file of 1 byte to {} MiB", kEvaluationTextBytesMax >> 20));
}

// From its beginning, whatever the descriptor's position. False when it cannot be read.
bool ReadAll(int fd, std::string& out) {
  std::vector<char> buffer(1 << 20);
  for (off_t at = 0;;) {
    const ssize_t bytes = pread(fd, buffer.data(), buffer.size(), at);
    if (bytes < 0 && errno == EINTR) continue;
    if (bytes <= 0) return bytes == 0;
    out.append(buffer.data(), static_cast<std::size_t>(bytes));
    at += bytes;
  }
}

Result<Text> ReadEvaluationText(int fd) {
  struct stat info {};
  const bool fits = fd >= 0 && fstat(fd, &info) == 0 && S_ISREG(info.st_mode) && info.st_size > 0 &&
                    static_cast<std::uint64_t>(info.st_size) <= kEvaluationTextBytesMax;
  Text text;
  if (!fits || !ReadAll(fd, text.content) || text.content.empty() || text.content.size() > kEvaluationTextBytesMax) {
    return Unreadable();
  }
  text.sha256 = Sha256Hex(text.content);
  return text;
}

Result<std::string> FileSha256(int fd) {
  if (auto digest = Sha256HexOfFile(fd)) return *std::move(digest);
  return Internal("cannot read back the compressed file");
}

// The processor and how much of it was used: what a speed figure means nothing without.
std::string MeasuredOn(const JobOptions& options, int threads) {
  return fmt::format("{}, {} thread{}", options.processor, threads, threads == 1 ? "" : "s");
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

json Report(const JobOptions& options, const Quality& q, const GgufSummary& file, const llama_model& model,
            const Text& text) {
  const model::ModelFacts facts = model::FactsOf(model);
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
      {"measured_on", MeasuredOn(options, q.threads)},
      {"measure_time", fmt::format("{:%Y-%m-%dT%H:%M:%S}Z", fmt::gmtime(now))},
  };
}

// The header, made canonical, then every weight.
Result<gguf::CanonicalFile> OpenChecked(int fd) {
  ALLOD_TRY(gguf::CanonicalFile file, gguf::OpenCanonical(fd));
  ALLOD_CHECK_OK(model::ValidateTensorData(file.fd()));
  return file;
}

// A model that passed everything that can be known without computing with it.
Result<model::LlamaModelPtr> LoadGenerative(const gguf::CanonicalFile& file, const model::LoadOptions& load = {}) {
  ALLOD_TRY(model::LlamaModelPtr model, model::LoadModel(file.fd(), load));
  ALLOD_CHECK_OK(CheckGenerative(*model));
  if (model::FactsOf(*model).parameters == 0) {
    return InvalidArgument("MODEL_NOT_LOADABLE", "the model has no parameters");
  }
  return model;
}

// A template that cannot render a plain conversation, leaves out what was said, or leaves no room for an answer, would
// fail at every chat: whoever imports the model is told, not those who ask it. One that takes no system message, say,
// is fine.
Status TryChatTemplate(const llama_model& model) {
  ALLOD_TRY(const auto assets, engine::ModelAssets::Create(model));
  if (!assets->facts().has_chat_template || assets->is_embedding()) return {};
  const std::string said = "Good morning.";
  const ports::ChatPrompt chat{.messages = {{.role = "user", .content = said}}};
  const auto rendered = assets->chat_template().Render(chat, assets->vocabulary());
  const auto unusable = [](const std::string& why) {
    return InvalidArgument("CHAT_TEMPLATE_UNUSABLE",
                           fmt::format("tokenizer.chat_template cannot render a conversation of one user message: {}; "
                                       "mend it, or remove the key (ChatML is used then)",
                                       why));
  };
  if (!rendered) return unusable(rendered.error().message);
  std::string prompt;
  for (const engine::text::PromptPart& part : rendered->parts) prompt += part.text;
  if (prompt.find(said) == std::string::npos) {
    return unusable(prompt.empty() ? "it renders nothing" : "the message's text is not in what it renders");
  }
  const std::int64_t context = assets->facts().context_train;
  const auto tokenized = assets->vocabulary().TokenizePrompt(rendered->parts, {.tokens_max = context});
  if (!tokenized) return unusable(tokenized.error().message);
  if (tokenized->count < context) return {};
  return unusable(
      fmt::format("two words become {} tokens, which leaves no room for an answer in the {} that the model "
                  "was trained for",
                  engine::text::CountText(*tokenized), context));
}

Status CheckOutput(const JobOptions& options) {
  struct stat input {};
  struct stat output {};
  const bool same = fstat(options.input, &input) == 0 && fstat(options.output, &output) == 0 &&
                    input.st_dev == output.st_dev && input.st_ino == output.st_ino;
  if (!same) return {};
  return InvalidArgument("OUTPUT_IS_INPUT", "the output cannot replace the file it is made from");
}

// Empties the file unless it is kept.
class OutputFile {
 public:
  explicit OutputFile(int fd) : fd_(fd) {}
  ~OutputFile() {
    if (!kept_) (void)!ftruncate(fd_, 0);
  }
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;
  void Keep() { kept_ = true; }

 private:
  const int fd_;
  bool kept_ = false;
};

// A name for programs that open files by name only.
fs::path NameOf(int fd) { return fmt::format("/proc/self/fd/{}", fd); }

}  // namespace

std::string ProcessorName() {
  std::string processor;
  std::ifstream in("/proc/cpuinfo");
  for (std::string line; processor.empty() && std::getline(in, line);) {
    if (line.starts_with("model name") && line.find(": ") != std::string::npos)
      processor = line.substr(line.find(": ") + 2);
  }
  utsname name{};
  if (processor.empty() && uname(&name) == 0) processor = name.machine;
  return processor;
}

Result<json> Inspect(const JobOptions& options, JobOutput& out) {
  out.Progress("validating", 0, 0.1, 0);
  int checked = options.input;
  std::optional<OutputFile> output;
  if (options.output >= 0) {
    ALLOD_CHECK_OK(CheckOutput(options));
    ALLOD_TRY(const bool canonical, gguf::IsCanonical(options.input));
    if (!canonical) {
      output.emplace(options.output);
      ALLOD_CHECK_OK(gguf::WriteCanonical(options.input, options.output));
      checked = options.output;
    }
  }
  ALLOD_TRY(const gguf::CanonicalFile file, OpenChecked(checked));
  const GgufSummary& summary = file.model().header.summary;
  ALLOD_TRY(const Text text, ReadEvaluationText(options.evaluation_text));
  out.Progress("loading", 0.1, 0.3, 0);
  ALLOD_TRY(const model::LlamaModelPtr model, LoadGenerative(file));
  ALLOD_CHECK_OK(TryChatTemplate(*model));
  const model::ModelFacts facts = model::FactsOf(*model);
  ALLOD_TRY(const Quality quality, MeasureQuality(*model, nullptr, text.content, options.threads,
                                                  [&](double share) { out.Progress("measuring", 0.3, 1, share); }));
  json result{
      {"architecture", facts.architecture},
      {"parameter_count", facts.parameters},
      {"trained_context_tokens", facts.context_train},
      {"vocabulary_size", facts.vocabulary},
      {"has_chat_template", facts.has_chat_template},
      {"kv_bytes_per_token", file.model().shape.kv_bytes_per_token()},
      {"quality", Report(options, quality, summary, *model, text)},
      {"tensor_types", TensorTypes(summary)},
  };
  if (options.output >= 0) {
    ALLOD_TRY(result["artifact_sha256"], FileSha256(file.fd()));
    result["artifact_bytes"] = summary.file_bytes;
  }
  if (output) output->Keep();
  return result;
}

Result<json> Compress(const JobOptions& options, JobOutput& out) {
  ALLOD_CHECK_OK(CheckCompressionType(options.type));
  ALLOD_CHECK_OK(CheckOutput(options));
  out.Progress("validating", 0, 0.05, 0);
  ALLOD_TRY(const gguf::CanonicalFile source_file, OpenChecked(options.input));
  ALLOD_TRY(const Text text, ReadEvaluationText(options.evaluation_text));
  // The loader refuses more than the quantiser, and with reasons.
  ALLOD_CHECK_OK(LoadGenerative(source_file, {.use_extra_bufts = false}));
  OutputFile output(options.output);
  out.Progress("quantising", 0.05, 0.5, 0);
  ALLOD_CHECK_OK(Quantize(source_file.path(), NameOf(options.scratch), options.type, options.threads,
                          [&](double share) { out.Progress("quantising", 0.05, 0.5, share); }));
  // What came out is made canonical and checked like what came in.
  ALLOD_CHECK_OK(gguf::WriteCanonical(options.scratch, options.output));
  ALLOD_TRY(const gguf::CanonicalFile file, OpenChecked(options.output));
  const GgufSummary& summary = file.model().header.summary;
  ALLOD_TRY(const std::string sha256, FileSha256(file.fd()));
  out.Progress("loading", 0.5, 0.55, 0);
  ALLOD_TRY(const model::LlamaModelPtr source, LoadGenerative(source_file));
  ALLOD_TRY(const model::LlamaModelPtr variant, LoadGenerative(file));
  ALLOD_TRY(const Quality quality, MeasureQuality(*source, variant.get(), text.content, options.threads,
                                                  [&](double share) { out.Progress("measuring", 0.55, 1, share); }));
  output.Keep();
  return json{
      {"artifact_sha256", sha256},
      {"artifact_bytes", summary.file_bytes},
      {"quality", Report(options, quality, summary, *variant, text)},
      {"tensor_types", TensorTypes(summary)},
  };
}

}  // namespace allod::inference::compress
