// bench_decode: generating through the engine, as the worker does, against a plain loop over libllama: the same model,
// streams, threads and prompts, both greedy, in turns in one run. The last line is JSON; "ratio" is the engine's
// tokens/s over the plain loop's.

#include <fmt/format.h>
#include <llama.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <filesystem>
#include <iostream>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "inference/engine/llama_engine.h"
#include "inference/model/llama_runtime.h"
#include "services/common/log.h"

namespace allod::inference {
namespace {

using SteadyClock = std::chrono::steady_clock;

struct Options {
  std::filesystem::path model;
  int streams = 1;
  int tokens = 128;
  int threads = 0;
  int rounds = 15;
  int context = 512;
  std::uint32_t plain_poll = 50;  // llama.cpp's default
  std::uint32_t engine_poll = engine::EngineOptions().poll;
};

double SecondsSince(SteadyClock::time_point start) {
  return std::chrono::duration<double>(SteadyClock::now() - start).count();
}

double Median(std::vector<double> values) {
  std::ranges::sort(values);
  return values[values.size() / 2];
}

std::string PromptOf(int stream) { return fmt::format("How do I register the birth of child number {}?", stream); }

[[noreturn]] void Die(const std::string& what) {
  std::cerr << what << "\n";
  std::exit(1);
}

// The first token of each stream comes with its prompt and does not count.
struct Measured {
  double tokens = 0;
  double seconds = 0;
};

struct ContextDeleter {
  void operator()(llama_context* context) const { llama_free(context); }
};
struct SamplerDeleter {
  void operator()(llama_sampler* sampler) const { llama_sampler_free(sampler); }
};

// What a program that uses libllama directly does: one batch, all streams in step, no events, no limits.
class PlainLoop {
 public:
  PlainLoop(llama_model& model, const Options& options) : options_(options), vocab_(llama_model_get_vocab(&model)) {
    llama_context_params params = llama_context_default_params();
    params.n_ctx = static_cast<std::uint32_t>(options.context * options.streams);
    params.n_batch = params.n_ubatch = 512;
    params.n_seq_max = params.n_outputs_max = static_cast<std::uint32_t>(options.streams);
    params.n_threads = params.n_threads_batch = options.threads;
    params.kv_unified = true;
    params.no_perf = true;
    context_.reset(llama_init_from_model(&model, params));
    if (!context_) Die("the plain loop got no context");
    // llama.cpp's own programs attach a pool too; without one it starts threads anew for every token.
    threadpool_ = model::MakeThreadpool(options.threads, options.plain_poll);
    llama_attach_threadpool(context_.get(), threadpool_.get(), threadpool_.get());
    sampler_.reset(llama_sampler_chain_init(llama_sampler_chain_default_params()));
    llama_sampler_chain_add(sampler_.get(), llama_sampler_init_greedy());
  }
  ~PlainLoop() {
    llama_batch_free(batch_);
    context_.reset();  // before the pool it uses
  }
  PlainLoop(const PlainLoop&) = delete;
  PlainLoop& operator=(const PlainLoop&) = delete;

  Measured Run() {
    llama_memory_clear(llama_get_memory(context_.get()), true);
    std::vector<Stream> streams;
    for (int number = 0; number < options_.streams; ++number) streams.push_back(Prefill(number));
    Measured measured;
    const auto start = SteadyClock::now();
    std::string text;
    for (int i = 1; i < options_.tokens && !streams.empty(); ++i) {
      batch_.n_tokens = 0;
      for (Stream& stream : streams) Put(stream.next, stream.position++, stream.number, true);
      if (llama_decode(context_.get(), batch_) != 0) Die("the plain loop failed to decode");
      for (std::size_t s = 0; s < streams.size(); ++s) {
        streams[s].next = llama_sampler_sample(sampler_.get(), context_.get(), static_cast<int>(s));
        char piece[256];
        const int bytes = llama_token_to_piece(vocab_, streams[s].next, piece, sizeof(piece), 0, false);
        if (bytes > 0) text.append(piece, static_cast<std::size_t>(bytes));
        ++measured.tokens;
      }
      std::erase_if(streams, [&](const Stream& stream) { return llama_vocab_is_eog(vocab_, stream.next); });
    }
    measured.seconds = SecondsSince(start);
    return measured;
  }

 private:
  struct Stream {
    int number = 0;
    llama_token next = 0;
    llama_pos position = 0;
  };

  Stream Prefill(int number) {
    const std::string prompt = PromptOf(number);
    std::vector<llama_token> tokens(prompt.size() + 8);
    tokens.resize(
        static_cast<std::size_t>(llama_tokenize(vocab_, prompt.data(), static_cast<int>(prompt.size()), tokens.data(),
                                                static_cast<int>(tokens.size()), true, false)));
    batch_.n_tokens = 0;
    for (const llama_token token : tokens) Put(token, batch_.n_tokens, number, false);
    batch_.logits[batch_.n_tokens - 1] = 1;
    if (llama_decode(context_.get(), batch_) != 0) Die("the plain loop failed to decode a prompt");
    return {number, llama_sampler_sample(sampler_.get(), context_.get(), batch_.n_tokens - 1), batch_.n_tokens};
  }

  void Put(llama_token token, llama_pos position, int stream, bool wants_logits) {
    const int i = batch_.n_tokens++;
    batch_.token[i] = token;
    batch_.pos[i] = position;
    batch_.n_seq_id[i] = 1;
    batch_.seq_id[i][0] = stream;
    batch_.logits[i] = wants_logits ? 1 : 0;
  }

  const Options options_;
  const llama_vocab* vocab_;
  model::ThreadpoolPtr threadpool_;
  std::unique_ptr<llama_context, ContextDeleter> context_;
  std::unique_ptr<llama_sampler, SamplerDeleter> sampler_;
  llama_batch batch_ = llama_batch_init(512, 0, 1);
};

// One reader thread a stream, as the worker's RPC threads are; seconds are the engine's own decode times.
Measured RunEngine(engine::Engine& engine, const Options& options) {
  std::vector<Measured> measured(static_cast<std::size_t>(options.streams));
  std::vector<std::thread> readers;
  for (int stream = 0; stream < options.streams; ++stream) {
    readers.emplace_back([&, stream] {
      ports::GenerationRequest request;
      request.prompt = PromptOf(stream);
      request.max_completion_tokens = options.tokens;
      request.sampling.temperature = 0;
      auto generation = engine.Submit(request);
      if (!generation) Die(generation.error().message);
      while (true) {
        auto event = (*generation)->Next(std::chrono::milliseconds(1000));
        if (!event) Die(event.error().message);
        if (!*event) continue;
        if (const auto* finished = std::get_if<ports::Finished>(&**event)) {
          measured[static_cast<std::size_t>(stream)] = {finished->sampled_tokens - 1.0, finished->decode_seconds};
          return;
        }
      }
    });
  }
  Measured total;
  for (std::thread& reader : readers) reader.join();
  for (const Measured& one : measured) {
    total.tokens += one.tokens;
    total.seconds = std::max(total.seconds, one.seconds);
  }
  return total;
}

int Main(Options options) {
  auto model = model::LoadModel(options.model);
  if (!model) Die(model.error().message);
  if (options.threads == 0) options.threads = model::SuitableThreads(model::FactsOf(**model));
  engine::EngineOptions engine_options;
  engine_options.context_tokens = options.context;
  engine_options.max_sequences = options.streams;
  engine_options.threads = options.threads;
  engine_options.poll = options.engine_poll;
  auto engine = engine::Engine::Create(**model, engine_options);
  if (!engine) Die(engine.error().message);
  std::vector<double> ours;
  std::vector<double> theirs;
  std::vector<double> ratios;
  for (int round = 0; round <= options.rounds; ++round) {
    // The order changes, so that neither side always runs on caches that the other left.
    const bool engine_first = round % 2 == 0;
    Measured engine_run;
    if (engine_first) engine_run = RunEngine(**engine, options);
    // Made anew each time: the threads of an idle pool spin for hundreds of milliseconds on cores that the engine
    // needs.
    const Measured plain_run = PlainLoop(**model, options).Run();
    if (!engine_first) engine_run = RunEngine(**engine, options);
    if (plain_run.tokens == 0 || engine_run.tokens == 0) Die("the model ends at once; nothing to measure");
    if (round == 0) continue;  // warms caches and pages
    theirs.push_back(plain_run.tokens / plain_run.seconds);
    ours.push_back(engine_run.tokens / engine_run.seconds);
    ratios.push_back(ours.back() / theirs.back());
    fmt::print("round {}: engine {:.1f} tokens/s, plain {:.1f} tokens/s, ratio {:.3f}\n", round, ours.back(),
               theirs.back(), ratios.back());
  }
  fmt::print(
      "{{\"bench\":\"decode\",\"model\":\"{}\",\"streams\":{},\"tokens\":{},\"threads\":{},\"rounds\":{},"
      "\"engine_poll\":{},\"plain_poll\":{},"
      "\"engine_tokens_per_second\":{:.1f},\"plain_tokens_per_second\":{:.1f},\"ratio\":{:.4f}}}\n",
      model::FactsOf(**model).description, options.streams, options.tokens, options.threads, options.rounds,
      options.engine_poll, options.plain_poll, Median(ours), Median(theirs), Median(ratios));
  return 0;
}

}  // namespace
}  // namespace allod::inference

int main(int argc, char** argv) {
  allod::inference::Options options;
  CLI::App app("Engine against plain libllama", "bench_decode");
  app.add_option("--model", options.model, "GGUF file")->required();
  app.add_option("--streams", options.streams, "Generations at once")->check(CLI::Range(1, 256));
  app.add_option("--tokens", options.tokens, "Tokens of each")->check(CLI::Range(2, 1 << 20));
  app.add_option("--threads", options.threads, "Compute threads; 0: what suits the model")->check(CLI::Range(0, 512));
  app.add_option("--rounds", options.rounds, "Measured rounds")->check(CLI::Range(1, 1000));
  app.add_option("--context", options.context, "Tokens of context for each stream")->check(CLI::Range(64, 1 << 20));
  app.add_option("--plain-poll", options.plain_poll, "Polling of the plain loop's thread pool")
      ->check(CLI::Range(0, 100));
  app.add_option("--engine-poll", options.engine_poll, "Polling of the engine's")->check(CLI::Range(0, 100));
  CLI11_PARSE(app, argc, argv);
  allod::InitLog("bench");
  return allod::inference::Main(options);
}
