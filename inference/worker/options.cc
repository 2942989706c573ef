#include "inference/worker/options.h"

#include <CLI/CLI.hpp>

namespace allod::inference::worker {

std::variant<Options, int> ParseOptions(int argc, char** argv) {
  Options options;
  CLI::App app("Answers for one instance with one model.", "allod-worker");
  app.add_option("--model", options.model, "GGUF file")->required();
  app.add_option("--sha256", options.sha256, "The file's digest, checked before anything reads it")->required();
  app.add_option("--listen", options.listen, "gRPC address, e.g. unix:/run/x.sock")->required();
  app.add_option("--instance", options.instance, "Resource name, for status and logs")->required();
  app.add_option("--context-tokens", options.context_tokens,
                 "Prompt and answer together; 0: what the model was trained for")
      ->check(CLI::Range(0, 1 << 24));
  app.add_option("--max-concurrency", options.max_concurrency, "Generations that run at once")
      ->check(CLI::Range(1, 256));
  app.add_option("--threads", options.threads, "Compute threads; 0: what suits the model")->check(CLI::Range(0, 512));
  app.add_flag("--skip-digest", options.skip_digest, "Trust that the file has the digest");
  app.add_flag("--die-with-parent", options.die_with_parent,
               "Be killed when the thread that started this process ends");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  return options;
}

}  // namespace allod::inference::worker
