// One embedding: what is asked for, and the vectors that answer it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace allod::inference::ports {

struct EmbeddingRequest {
  std::vector<std::string> inputs;  // 1 to 256
  std::int32_t dimensions = 0;      // of a vector; 0: as the model makes them
  std::string request_id;
  std::string tenant_uid;
  std::string instance;
};

struct Embeddings {
  std::vector<std::vector<float>> vectors;  // one for each input, of length 1
  std::int32_t prompt_tokens = 0;
};

}  // namespace allod::inference::ports
