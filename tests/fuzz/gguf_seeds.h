// Small, good GGUF files of different kinds: where a fuzzer starts, and what the corpus test mutates.
#pragma once

#include <string>
#include <vector>

namespace allod::test {

std::vector<std::string> GgufSeeds();

}  // namespace allod::test
