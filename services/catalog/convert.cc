// Models and what is below them, and listings. Jobs and operations are in convert_job.cc.
#include "services/catalog/convert.h"

#include <fmt/format.h>

#include "services/catalog/convert_values.h"

namespace allod::catalog {

Result<VersionKey> VersionKeyOf(std::string_view field, std::string_view name) {
  ALLOD_TRY(const auto parts, MatchName(field, name, "models/*/versions/*"));
  return VersionKey{parts[0], parts[1]};
}

Result<VariantKey> VariantKeyOf(std::string_view name) {
  ALLOD_TRY(const auto parts, MatchName("name", name, "models/*/versions/*/variants/*"));
  return VariantKey{{parts[0], parts[1]}, parts[2]};
}

Result<Publisher> PublisherFromRequest(const pb::CreatePublisherRequest& request, Time now) {
  Publisher out{request.publisher_id(), request.publisher().display_name(), FloorToMicros(now)};
  ALLOD_CHECK_OK(CheckPublisher(out));
  return out;
}

Result<Model> ModelFromRequest(const pb::CreateModelRequest& request, Time now) {
  ALLOD_TRY(const auto publisher, MatchName("model.publisher", request.model().publisher(), "publishers/*"));
  Model out{request.model_id(), publisher[0], request.model().display_name(), request.model().description(),
            FloorToMicros(now)};
  ALLOD_CHECK_OK(CheckModel(out));
  return out;
}

Result<Listing> ListingFromRequest(const pb::CreateListingRequest& request, Time now) {
  const pb::Listing& in = request.listing();
  Listing out;
  out.id = request.listing_id();
  ALLOD_TRY(out.version, VersionKeyOf("listing.version", in.version()));
  out.display_name = in.display_name();
  out.license_terms = in.license_terms();
  out.territory.assign(in.territory().begin(), in.territory().end());
  for (int i = 0; i < in.prices_size(); ++i) {
    const auto& price = in.prices(i);
    ALLOD_TRY(TokenPrice row, ReadTokenPrice(fmt::format("prices[{}]", i), price.currency_code(), price.variant_id(),
                                             price.isolation_class(), price.prompt_price_per_million(),
                                             price.completion_price_per_million(), price.instance_price_per_hour()));
    out.prices.push_back(std::move(row));
  }
  out.price_book = Uuid::V7(now);
  out.create_time = FloorToMicros(now);
  return ValidListing(std::move(out));
}

pb::Publisher ToProto(const Publisher& publisher) {
  pb::Publisher out;
  out.set_name(publisher.name());
  out.set_display_name(publisher.display_name);
  *out.mutable_create_time() = ToTimestamp(publisher.create_time);
  return out;
}

pb::Model ToProto(const Model& model) {
  pb::Model out;
  out.set_name(model.name());
  out.set_publisher("publishers/" + model.publisher);
  out.set_display_name(model.display_name);
  out.set_description(model.description);
  *out.mutable_create_time() = ToTimestamp(model.create_time);
  return out;
}

pb::Version ToProto(const Version& version) {
  pb::Version out;
  out.set_name(version.key.name());
  out.set_state(pb::Version::STATE_ACTIVE);
  out.set_license(version.license);
  out.set_source_sha256(version.source_sha256);
  out.set_architecture(version.facts.architecture);
  out.set_parameter_count(version.facts.parameter_count);
  out.set_trained_context_tokens(version.facts.trained_context_tokens);
  out.set_vocabulary_size(version.facts.vocabulary_size);
  out.set_has_chat_template(version.facts.has_chat_template);
  out.set_kv_bytes_per_token(version.facts.kv_bytes_per_token);
  *out.mutable_create_time() = ToTimestamp(version.create_time);
  return out;
}

pb::Variant ToProto(const Variant& variant) {
  pb::Variant out;
  out.set_name(variant.key.name());
  out.set_compression(variant.compression);
  out.set_artifact_sha256(variant.artifact_sha256);
  out.set_artifact_bytes(variant.artifact_bytes);
  *out.mutable_quality() = ToProto(variant.quality);
  *out.mutable_create_time() = ToTimestamp(variant.create_time);
  out.mutable_tensor_types()->insert(variant.tensor_types.begin(), variant.tensor_types.end());
  return out;
}

billing::v1::TokenPrice ToProto(const TokenPrice& price) {
  billing::v1::TokenPrice out;
  out.set_currency_code(price.currency_code);
  out.set_variant_id(price.variant_id);
  out.set_isolation_class(price.isolation_class);
  out.set_prompt_price_per_million(PerMillion(price.prompt));
  out.set_completion_price_per_million(PerMillion(price.completion));
  if (price.instance_second > Amount()) out.set_instance_price_per_hour(PerHour(price.instance_second));
  return out;
}

pb::Listing ToProto(const Listing& listing) {
  pb::Listing out;
  out.set_name(listing.name());
  out.set_version(listing.version.name());
  out.set_display_name(listing.display_name);
  out.set_license_terms(listing.license_terms);
  out.mutable_territory()->Add(listing.territory.begin(), listing.territory.end());
  for (const TokenPrice& price : listing.prices) *out.add_prices() = ToProto(price);
  out.set_price_book(listing.price_book_name());
  switch (listing.state) {
    case ListingState::kPending:
      out.set_state(pb::Listing::STATE_UNSPECIFIED);
      break;
    case ListingState::kActive:
      out.set_state(pb::Listing::STATE_ACTIVE);
      break;
    case ListingState::kWithdrawn:
      out.set_state(pb::Listing::STATE_WITHDRAWN);
      break;
  }
  *out.mutable_create_time() = ToTimestamp(listing.create_time);
  return out;
}

}  // namespace allod::catalog
