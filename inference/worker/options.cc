#include "inference/worker/options.h"

#include <fcntl.h>

#include <CLI/CLI.hpp>
#include <iostream>

namespace allod::inference::worker {

std::variant<Options, int> ParseOptions(int argc, char** argv) {
  Options options;
  CLI::App app(
      "Keeps one model in memory and forks a sandboxed worker for each instance. Started by allod-node, which leaves "
      "it "
      "a control socket as descriptor 3 and the model's file as descriptor 4; of no use without.",
      "allod-worker");
  app.add_option("--sha256", options.sha256, "The model file's digest, checked before anything reads it")->required();
  app.add_flag("--private-weights", options.private_weights, "Share no page of the model's file with another process");
  app.add_flag("--strict", options.strict, "Refuse to run where a layer of the sandbox is missing");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  if (fcntl(kControlFd, F_GETFD) < 0 || fcntl(kModelFd, F_GETFD) < 0) {
    std::cerr << "allod-worker: descriptors 3 and 4 are not open; it is started by allod-node\n";
    return 2;
  }
  return options;
}

}  // namespace allod::inference::worker
