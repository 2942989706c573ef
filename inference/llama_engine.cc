#include "inference/llama_engine.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <utility>

#include "inference/llama_chat.h"
#include "inference/llama_decode_loop.h"
#include "inference/llama_runtime.h"
#include "inference/llama_vocabulary.h"
#include "services/common/log.h"

namespace allod::inference {
namespace {

constexpr std::size_t kStopsMax = 4;
constexpr std::size_t kStopBytesMax = 256;
constexpr std::chrono::milliseconds kRetryAfter{1000};

Status CheckModel(const ModelFacts& facts) {
  if (!facts.has_decoder || facts.has_encoder || facts.is_diffusion) {
    return FailedPrecondition("MODEL_NOT_GENERATIVE",
                              fmt::format("a {} model does not continue text token by token", facts.architecture));
  }
  if (facts.vocabulary == 0) return FailedPrecondition("MODEL_NOT_GENERATIVE", "the model has no tokeniser");
  return {};
}

Status CheckOptions(const EngineOptions& options) {
  const auto check = [](const char* option, std::int32_t value, std::int32_t min, std::int32_t max) -> Status {
    if (value >= min && value <= max) return {};
    return InvalidArgument("INVALID_OPTION", fmt::format("{} is {}; it must be {} to {}", option, value, min, max));
  };
  ALLOD_CHECK_OK(check("context_tokens", options.context_tokens, 0, 1 << 24));
  ALLOD_CHECK_OK(check("max_sequences", options.max_sequences, 1, 256));
  ALLOD_CHECK_OK(check("threads", options.threads, 0, 512));
  return check("queue_max", options.queue_max, 1, 1 << 16);
}

Status CheckRequest(const GenerationRequest& request) {
  ALLOD_CHECK_OK(CheckSampling(request.sampling));
  if (request.max_completion_tokens < 0) {
    return InvalidArgument(
        "INVALID_SAMPLING",
        fmt::format("max_completion_tokens is {}; it must be 0 (no limit) or more", request.max_completion_tokens));
  }
  if (request.stop.size() > kStopsMax) {
    return InvalidArgument("INVALID_SAMPLING",
                           fmt::format("stop has {} strings; at most {} are accepted", request.stop.size(), kStopsMax));
  }
  for (std::size_t i = 0; i < request.stop.size(); ++i) {
    if (!request.stop[i].empty() && request.stop[i].size() <= kStopBytesMax) continue;
    return InvalidArgument("INVALID_SAMPLING", fmt::format("stop[{}] has {} bytes; 1 to {} are accepted", i,
                                                           request.stop[i].size(), kStopBytesMax));
  }
  return {};
}

}  // namespace

struct Engine::Impl {
  Impl(llama_model& model, const EngineOptions& effective)
      : options(effective), vocabulary(model), chat_template(model) {}

  Result<std::vector<std::int32_t>> Tokenize(const GenerationRequest& request) const {
    if (const auto* text = std::get_if<std::string>(&request.prompt)) return vocabulary.TokenizeText(*text);
    const auto& messages = std::get<std::vector<ChatMessage>>(request.prompt);
    ALLOD_TRY(const auto parts, chat_template.Render(messages, vocabulary.control_text()));
    return vocabulary.TokenizePrompt(parts);
  }

  const EngineOptions options;
  const Vocabulary vocabulary;
  const ChatTemplate chat_template;
  std::unique_ptr<DecodeLoop> loop;
};

Engine::Engine(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Engine::~Engine() = default;

Result<std::unique_ptr<Engine>> Engine::Create(llama_model& model, const EngineOptions& options) {
  ALLOD_CHECK_OK(CheckOptions(options));
  const ModelFacts facts = FactsOf(model);
  ALLOD_CHECK_OK(CheckModel(facts));
  EngineOptions effective = options;
  if (effective.threads == 0) effective.threads = SuitableThreads(facts);
  if (facts.context_train > 0 && (effective.context_tokens == 0 || effective.context_tokens > facts.context_train)) {
    effective.context_tokens = facts.context_train;
  }
  if (std::int64_t{effective.context_tokens} * effective.max_sequences > std::numeric_limits<std::int32_t>::max()) {
    return InvalidArgument("INVALID_OPTION", fmt::format("{} sequences of {} tokens are too many",
                                                         effective.max_sequences, effective.context_tokens));
  }
  auto impl = std::make_unique<Impl>(model, effective);
  ALLOD_TRY(impl->loop, DecodeLoop::Start(model, impl->vocabulary, effective));
  return std::unique_ptr<Engine>(new Engine(std::move(impl)));
}

Result<std::unique_ptr<Generation>> Engine::Submit(const GenerationRequest& request) {
  ALLOD_CHECK_OK(CheckRequest(request));
  ALLOD_TRY(std::vector<std::int32_t> prompt, impl_->Tokenize(request));
  if (prompt.empty()) return InvalidArgument("EMPTY_PROMPT", "the prompt has no tokens; send some text");
  const auto prompt_tokens = static_cast<std::int64_t>(prompt.size());
  const std::int32_t context = impl_->options.context_tokens;
  if (prompt_tokens >= context) {
    return InvalidArgument(
        "CONTEXT_LENGTH_EXCEEDED",
        fmt::format("the prompt has {} tokens; the context of {} tokens leaves room for at most {}, because the "
                    "answer needs one. Shorten the prompt",
                    prompt_tokens, context, context - 1));
  }
  const std::int32_t room = context - static_cast<std::int32_t>(prompt_tokens);
  const std::int32_t wanted = request.max_completion_tokens;
  auto stream = std::make_shared<TokenStream>(impl_->options.stream, impl_->loop->wakeup());
  auto generation = std::make_unique<Generation>(stream);
  if (!impl_->loop->Enqueue({std::move(stream), std::move(prompt), wanted == 0 ? room : std::min(wanted, room),
                             request.sampling, request.stop})) {
    Error full{Code::kResourceExhausted, "QUEUE_FULL",
               fmt::format("{} requests wait already; try again later", impl_->options.queue_max)};
    full.retry_after = kRetryAfter;
    return std::unexpected(std::move(full));
  }
  return generation;
}

EngineStatus Engine::status() const { return impl_->loop->status(); }

}  // namespace allod::inference
