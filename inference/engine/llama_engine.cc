#include "inference/engine/llama_engine.h"

#include <fmt/format.h>

#include <algorithm>
#include <future>
#include <limits>
#include <utility>
#include <variant>

#include "inference/engine/chat/llama_tool_calls.h"
#include "inference/engine/generation_reader.h"
#include "inference/engine/llama_decode_loop.h"
#include "inference/engine/llama_embedder.h"
#include "inference/engine/request_check.h"
#include "inference/engine/text/deep_stack.h"

namespace allod::inference::engine {
namespace {

Status CheckOptions(const EngineOptions& options) {
  const auto check = [](const char* option, std::int32_t value, std::int32_t min, std::int32_t max) -> Status {
    if (value >= min && value <= max) return {};
    return InvalidArgument("INVALID_OPTION", fmt::format("{} is {}; it must be {} to {}", option, value, min, max));
  };
  constexpr std::int32_t kTokensMax = 1 << 24;
  ALLOD_CHECK_OK(check("context_tokens", options.context_tokens, 0, kTokensMax));
  ALLOD_CHECK_OK(check("max_sequences", options.max_sequences, 1, 256));
  ALLOD_CHECK_OK(check("kv_tokens", options.kv_tokens, 0, kTokensMax));
  ALLOD_CHECK_OK(check("threads", options.threads, 0, 512));
  ALLOD_CHECK_OK(check("tenant_queue_max", options.tenant_queue_max, 0, 1 << 16));
  ALLOD_CHECK_OK(check("tenant_sequences_max", options.tenant_sequences_max, 0, 256));
  ALLOD_CHECK_OK(check("tenant_kv_tokens_max", options.tenant_kv_tokens_max, 0, kTokensMax));
  ALLOD_CHECK_OK(check("newcomer_sequences", options.newcomer_sequences, 0, 256));
  ALLOD_CHECK_OK(check("newcomer_kv_tokens", options.newcomer_kv_tokens, 0, kTokensMax));
  ALLOD_CHECK_OK(check("chunk_tokens_max", options.chunk_tokens_max, 1, 1 << 14));
  return check("queue_max", options.queue_max, 1, 1 << 16);
}

// The options without zeros.
Result<EngineOptions> Effective(EngineOptions options, const model::ModelFacts& facts) {
  if (options.threads == 0) options.threads = model::SuitableThreads(facts);
  if (facts.context_train > 0 && (options.context_tokens == 0 || options.context_tokens > facts.context_train)) {
    options.context_tokens = facts.context_train;
  }
  if (options.kv_tokens == 0) {
    const std::int64_t tokens = std::int64_t{options.context_tokens} * options.max_sequences;
    if (tokens > std::numeric_limits<std::int32_t>::max()) {
      return InvalidArgument("INVALID_OPTION", fmt::format("{} sequences of {} tokens are too many",
                                                           options.max_sequences, options.context_tokens));
    }
    options.kv_tokens = static_cast<std::int32_t>(tokens);
  }
  const auto bounded = [](std::int32_t value, std::int32_t max) { return value == 0 ? max : std::min(value, max); };
  options.context_tokens = std::min(options.context_tokens, options.kv_tokens);
  options.tenant_queue_max = bounded(options.tenant_queue_max, options.queue_max);
  options.newcomer_sequences = std::min(options.newcomer_sequences, options.max_sequences - 1);
  // Whoever it is left to, one generation has its whole context.
  options.newcomer_kv_tokens = std::min(options.newcomer_kv_tokens, options.kv_tokens - options.context_tokens);
  options.tenant_sequences_max =
      bounded(options.tenant_sequences_max, options.max_sequences - options.newcomer_sequences);
  options.tenant_kv_tokens_max = bounded(options.tenant_kv_tokens_max, options.kv_tokens - options.newcomer_kv_tokens);
  return options;
}

}  // namespace

struct Engine::Impl {
  Impl(std::shared_ptr<const ModelAssets> model_assets, const EngineOptions& effective)
      : assets(std::move(model_assets)), options(effective) {}

  Result<std::unique_ptr<ports::UsageSlot>> OpenUsage(const std::string& request_id, const std::string& tenant_uid,
                                                      const std::string& instance) {
    ports::UsageRecorder& recorder = options.usage != nullptr ? *options.usage : no_usage;
    return recorder.Open(request_id, tenant_uid, instance);
  }
  // Prompt, constraint and what else comes of a request; without stream and usage.
  Result<PendingGeneration> Prepare(const ports::GenerationRequest& request, const ports::Member& member,
                                    std::unique_ptr<chat::ToolCallReader>& tool_calls) const;
  std::int32_t ContextOf(const ports::Member& member) const {
    return member.context_tokens > 0 ? std::min(member.context_tokens, options.context_tokens) : options.context_tokens;
  }

  const std::shared_ptr<const ModelAssets> assets;
  const EngineOptions options;
  ports::NoUsageRecorder no_usage;
  ports::Members members;
  std::unique_ptr<DecodeLoop> loop;  // one of the two
  std::unique_ptr<Embedder> embedder;
};

Engine::Engine(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Engine::~Engine() {
  if (impl_->embedder) impl_->embedder->Stop();
}

Result<std::unique_ptr<Engine>> Engine::Create(llama_model& model, const EngineOptions& options) {
  ALLOD_CHECK_OK(CheckOptions(options));
  ALLOD_TRY(auto assets, ModelAssets::Create(model));
  return Create(model, std::move(assets), options);
}

Result<std::unique_ptr<Engine>> Engine::Create(llama_model& model, std::shared_ptr<const ModelAssets> assets,
                                               const EngineOptions& options) {
  ALLOD_CHECK_OK(CheckOptions(options));
  ALLOD_TRY(const EngineOptions effective, Effective(options, assets->facts()));
  auto impl = std::make_unique<Impl>(std::move(assets), effective);
  if (impl->assets->is_embedding()) {
    ALLOD_TRY(impl->embedder, Embedder::Create(model, *impl->assets, effective));
  } else {
    ALLOD_TRY(impl->loop, DecodeLoop::Start(model, *impl->assets, effective));
  }
  return std::unique_ptr<Engine>(new Engine(std::move(impl)));
}

std::vector<ports::RefusedMember> Engine::SetMembers(std::vector<ports::Member> members) {
  return impl_->members.Set(std::move(members));
}

Result<PendingGeneration> Engine::Impl::Prepare(const ports::GenerationRequest& request, const ports::Member& member,
                                                std::unique_ptr<chat::ToolCallReader>& tool_calls) const {
  const text::Vocabulary& vocabulary = assets->vocabulary();
  const std::int64_t context = ContextOf(member);
  const std::int64_t cells = options.tenant_kv_tokens_max;
  // The answer needs a token, and each choice a cell.
  const text::TokenLimits limits{std::min(context - 1, cells - request.choices), request.is_cancelled};
  PendingGeneration pending;
  pending.stop = request.stop;
  text::GrammarPlan plan;
  text::TokenizedText prompt;
  if (const auto* text = std::get_if<std::string>(&request.prompt)) {
    ALLOD_TRY(prompt, vocabulary.TokenizeText(*text, limits));
  } else {
    ALLOD_TRY(chat::RenderedChat chat,
              assets->chat_template().Render(std::get<ports::ChatPrompt>(request.prompt), vocabulary));
    ALLOD_TRY(prompt, vocabulary.TokenizePrompt(chat.parts, limits));
    pending.stop.insert(pending.stop.end(), chat.stops.begin(), chat.stops.end());
    pending.spoken_tokens = std::move(chat.spoken_tokens);
    plan = std::move(chat.grammar);
    if (chat.tool_calls) tool_calls = std::make_unique<chat::ToolCallReader>(std::move(chat.tool_calls));
  }
  if (prompt.count == 0) return InvalidArgument("EMPTY_PROMPT", "the prompt has no tokens; send some text");
  if (prompt.count > limits.tokens_max) {
    return InvalidArgument(
        "CONTEXT_LENGTH_EXCEEDED",
        fmt::format("the prompt has {} tokens; the context of {} tokens leaves room for at most {}, because the "
                    "answer needs one. Shorten the prompt",
                    text::CountText(prompt), context, limits.tokens_max));
  }
  const auto room =
      static_cast<std::int32_t>(std::min(context - prompt.count, (cells - prompt.count) / request.choices));
  const std::int32_t wanted = request.max_completion_tokens;
  pending.max_completion_tokens = wanted == 0 ? room : std::min(wanted, room);
  pending.prompt = std::move(prompt.tokens);
  if (plan.gbnf.empty()) {
    plan = {};
    ALLOD_TRY(plan.gbnf, text::GrammarOf(request.constraint));
  }
  if (!plan.gbnf.empty()) {
    // One for each choice: to copy one takes llama.cpp a time that grows with the product of grammar and state.
    for (std::int32_t i = 0; i < request.choices; ++i) {
      ALLOD_TRY(auto constraint, text::Constraint::Compile(vocabulary.llama(), plan));
      pending.constraints.push_back(std::move(constraint));
    }
  }
  pending.choices = request.choices;
  pending.sampling = request.sampling;
  pending.logprobs = request.logprobs;
  pending.top_logprobs = request.top_logprobs;
  return pending;
}

Result<std::unique_ptr<ports::Generation>> Engine::Submit(const ports::GenerationRequest& request) {
  const SteadyTime now = std::chrono::steady_clock::now();
  if (!impl_->loop) {
    return FailedPrecondition("MODEL_NOT_GENERATIVE",
                              fmt::format("a {} model that makes embeddings does not answer; ask for embeddings",
                                          impl_->assets->facts().architecture));
  }
  ALLOD_TRY(const ports::Member member, impl_->members.Find(request.instance, request.tenant_uid));
  const std::int32_t sequences = impl_->options.tenant_sequences_max;
  const std::int32_t choices_max = member.max_concurrency > 0 ? std::min(member.max_concurrency, sequences) : sequences;
  ALLOD_CHECK_OK(CheckRequest(request, impl_->assets->vocabulary().size(), choices_max));
  std::unique_ptr<chat::ToolCallReader> tool_calls;
  // What is refused has cost as much as what is not.
  const auto before = text::ProcessorTimeWithDeepStacks();
  auto prepared = impl_->Prepare(request, member, tool_calls);
  impl_->loop->ChargePrepared(request.tenant_uid, member.weight, text::ProcessorTimeWithDeepStacks() - before);
  ALLOD_TRY(PendingGeneration pending, std::move(prepared));
  pending.tenant = request.tenant_uid;
  pending.instance = request.instance;
  pending.weight = member.weight;
  pending.instance_sequences_max = member.max_concurrency;
  pending.submitted_at = now;
  ALLOD_TRY(pending.usage, impl_->OpenUsage(request.request_id, request.tenant_uid, request.instance));
  pending.stream = std::make_shared<TokenStream>(impl_->options.stream, impl_->loop->wakeup());
  auto generation = std::make_unique<GenerationReader>(pending.stream, std::move(tool_calls));
  ALLOD_CHECK_OK(impl_->loop->Enqueue(std::move(pending)));
  return generation;
}

Status Engine::SubmitEmbedding(const ports::EmbeddingRequest& request, std::function<bool()> is_cancelled,
                               std::function<void(Result<ports::Embeddings>)> done) {
  const SteadyTime now = std::chrono::steady_clock::now();
  if (!impl_->embedder) {
    return FailedPrecondition("MODEL_NOT_EMBEDDING",
                              fmt::format("this {} model was not made for embeddings: it names no way of pooling",
                                          impl_->assets->facts().architecture));
  }
  ALLOD_TRY(const ports::Member member, impl_->members.Find(request.instance, request.tenant_uid));
  if (request.dimensions != 0 && request.dimensions != impl_->embedder->dimensions()) {
    return InvalidArgument("WRONG_DIMENSIONS",
                           fmt::format("dimensions must be {}, which is what this model makes, or left out",
                                       impl_->embedder->dimensions()));
  }
  const auto before = text::ProcessorTimeWithDeepStacks();
  auto inputs = impl_->embedder->Tokenize(request.inputs, is_cancelled);
  impl_->embedder->ChargePrepared(request.tenant_uid, member.weight, text::ProcessorTimeWithDeepStacks() - before);
  if (!inputs) return std::unexpected(std::move(inputs).error());
  PendingEmbedding pending;
  pending.inputs = *std::move(inputs);
  ALLOD_TRY(pending.usage, impl_->OpenUsage(request.request_id, request.tenant_uid, request.instance));
  pending.tenant = request.tenant_uid;
  pending.weight = member.weight;
  pending.is_cancelled = std::move(is_cancelled);
  pending.done = std::move(done);
  pending.submitted_at = now;
  return impl_->embedder->Enqueue(std::move(pending));
}

Result<ports::Embeddings> Engine::Embed(const ports::EmbeddingRequest& request,
                                        const std::function<bool()>& is_cancelled) {
  const auto answer = std::make_shared<std::promise<Result<ports::Embeddings>>>();
  std::future<Result<ports::Embeddings>> future = answer->get_future();
  ALLOD_CHECK_OK(SubmitEmbedding(request, is_cancelled,
                                 [answer](Result<ports::Embeddings> out) { answer->set_value(std::move(out)); }));
  return future.get();
}

// Its prompt is as long as a short chat's, and stays nobody's in the prefix cache until the room is needed.
void Engine::WarmUp(std::chrono::milliseconds max) {
  ports::GenerationRequest request;
  request.prompt = std::string("The first words that are read here are for nobody, and nobody will read the answer.");
  request.max_completion_tokens = 2;
  auto generation = Submit(request);
  if (!generation) {
    if (generation.error().reason == "MODEL_NOT_GENERATIVE") (void)Embed({.inputs = {"nobody"}});
    return;
  }
  const auto until = std::chrono::steady_clock::now() + max;
  while (std::chrono::steady_clock::now() < until) {
    const auto event = (*generation)->Next(max);
    if (!event || (*event && std::holds_alternative<ports::Finished>(**event))) return;
  }
}

void Engine::GiveBackScratch() {
  if (impl_->loop) impl_->loop->GiveBackScratch();
}

EngineStatus Engine::status() const { return impl_->loop ? impl_->loop->status() : impl_->embedder->status(); }

}  // namespace allod::inference::engine
