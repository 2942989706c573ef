#include "inference/ports/servable.h"

namespace allod::inference::ports {

Result<std::unique_ptr<Generation>> Servable::Submit(const GenerationRequest& /*request*/) {
  return FailedPrecondition("MODEL_NOT_GENERATIVE", "this model does not generate text");
}

Status Servable::SubmitEmbedding(const EmbeddingRequest& /*request*/, std::function<bool()> /*is_cancelled*/,
                                 std::function<void(Result<Embeddings>)> /*done*/) {
  return FailedPrecondition("MODEL_NOT_EMBEDDING", "this model makes no embeddings");
}

}  // namespace allod::inference::ports
