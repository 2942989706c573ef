#include "inference/engine/llama_assets.h"

#include <fmt/format.h>
#include <llama.h>

#include <cstdlib>

namespace allod::inference::engine {
namespace {

// What the model file declares: models that were made to embed name a way of pooling (1 mean, 2 first, 3 last token).
// Ranking models (4) give scores, not vectors.
bool DeclaresPooling(const llama_model& model, const std::string& architecture) {
  char value[16];
  const std::string key = architecture + ".pooling_type";
  if (llama_model_meta_val_str(&model, key.c_str(), value, sizeof(value)) < 0) return false;
  const long type = std::strtol(value, nullptr, 10);
  return type >= LLAMA_POOLING_TYPE_MEAN && type <= LLAMA_POOLING_TYPE_LAST;
}

}  // namespace

ModelAssets::ModelAssets(const llama_model& model)
    : facts_(model::FactsOf(model)), vocabulary_(model), chat_template_(model) {
  is_embedding_ = DeclaresPooling(model, facts_.architecture);
  can_share_prefixes_ =
      !facts_.is_recurrent && !llama_model_is_hybrid(&model) && llama_model_n_swa(&model) == 0 && !is_embedding_;
}

Result<std::shared_ptr<const ModelAssets>> ModelAssets::Create(const llama_model& model) {
  const model::ModelFacts facts = model::FactsOf(model);
  const auto refuse = [](const std::string& why) { return FailedPrecondition("MODEL_NOT_GENERATIVE", why); };
  if (facts.vocabulary == 0) return refuse("the model has no tokeniser");
  const bool generates = facts.has_decoder && !facts.has_encoder && !facts.is_diffusion;
  if (!generates && !DeclaresPooling(model, facts.architecture)) {
    return refuse(fmt::format("a {} model neither continues text token by token nor names a way of pooling embeddings",
                              facts.architecture));
  }
  return std::shared_ptr<const ModelAssets>(new ModelAssets(model));
}

}  // namespace allod::inference::engine
