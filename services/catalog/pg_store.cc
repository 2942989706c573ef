#include "services/catalog/pg_store.h"

#include <nlohmann/json.hpp>

#include "services/catalog/pg_rows.h"

namespace allod::catalog {
namespace {

constexpr char kPublisherColumns[] = "id, display_name, " ALLOD_MICROS("create_time");
constexpr char kModelColumns[] = "id, publisher_id, display_name, description, " ALLOD_MICROS("create_time");
constexpr char kVersionColumns[] =
    "model_id, id, license, source_sha256, architecture, parameter_count, trained_context_tokens, vocabulary_size, "
    "has_chat_template, kv_bytes_per_token, " ALLOD_MICROS("create_time");
constexpr char kVariantColumns[] =
    "model_id, version_id, id, compression, artifact_sha256, artifact_bytes, bytes, bits_per_weight, perplexity, "
    "source_perplexity, mean_kl_divergence, top1_agreement, evaluated_tokens, evaluation_text_sha256, "
    "decode_tokens_per_second, prefill_tokens_per_second, measured_on, " ALLOD_MICROS("measure_time") ", "
    "tensor_types::text, " ALLOD_MICROS("create_time");

Publisher ReadPublisher(RowReader& row) {
  Publisher out;
  row.Into(out.id, out.display_name, out.create_time);
  return out;
}

Model ReadModelRow(RowReader& row) {
  Model out;
  row.Into(out.id, out.publisher, out.display_name, out.description, out.create_time);
  return out;
}

Version ReadVersionRow(RowReader& row) {
  Version out;
  VersionFacts& f = out.facts;
  row.Into(out.key.model, out.key.version, out.license, out.source_sha256);
  row.Into(f.architecture, f.parameter_count, f.trained_context_tokens, f.vocabulary_size, f.has_chat_template,
           f.kv_bytes_per_token);
  row.Into(out.create_time);
  return out;
}

Variant ReadVariantRow(RowReader& row) {
  Variant out;
  QualityReport& q = out.quality;
  row.Into(out.key.version.model, out.key.version.version, out.key.variant, out.compression, out.artifact_sha256,
           out.artifact_bytes);
  row.Into(q.bytes, q.bits_per_weight, q.perplexity, q.source_perplexity, q.mean_kl_divergence, q.top1_agreement,
           q.evaluated_tokens, q.evaluation_text_sha256, q.decode_tokens_per_second, q.prefill_tokens_per_second,
           q.measured_on, q.measure_time);
  out.tensor_types = nlohmann::json::parse(row.Next<std::string>()).get<TensorTypes>();
  row.Into(out.create_time);
  return out;
}

// One page of a list: `sql` ends where the rows after $1 and at most $2 of them are to be chosen; `args` are $3 and on.
template <typename Read, typename KeyText, typename... Args>
auto ReadPage(GlobalTx& tx, const PageRequest& page, const std::string& sql, Read&& read, KeyText&& key_text,
              const Args&... args) {
  const auto rows = tx.Exec(sql + " AND id > $1 ORDER BY id LIMIT $2", page.after, page.size + 1, args...);
  return MakePage(page, ReadAll(rows, read), key_text);
}

}  // namespace

Result<std::optional<std::string>> RecallRequest(GlobalTx& tx, const RequestId& request) {
  if (!request.given()) return std::nullopt;
  const auto rows = tx.Exec("SELECT payload_sha256, resource_id FROM catalog.request_ids WHERE request_id = $1",
                            request.id.ToString());
  if (rows.empty()) return std::nullopt;
  ALLOD_CHECK_OK(CheckSamePayload(request, rows[0][0].as<std::string>()));
  return rows[0][1].as<std::string>();
}

Status RememberRequest(GlobalTx& tx, const RequestId& request, const std::string& resource) {
  if (!request.given()) return {};
  const auto inserted = tx.Exec(
      "INSERT INTO catalog.request_ids (request_id, payload_sha256, resource_id) VALUES ($1, $2, $3) ON CONFLICT DO "
      "NOTHING",
      request.id.ToString(), request.payload_sha256, resource);
  if (inserted.affected_rows() == 1) return {};
  const auto earlier = RecallRequest(tx, request);
  if (!earlier) return std::unexpected(earlier.error());
  return {};
}

Result<Model> ReadModel(GlobalTx& tx, const std::string& model) {
  const auto rows = tx.Exec(fmt::format("SELECT {} FROM catalog.models WHERE id = $1", kModelColumns), model);
  if (rows.empty()) return DoesNotExist("models/" + model);
  return ReadFirst(rows, ReadModelRow);
}

Status RequirePublisher(GlobalTx& tx, const std::string& publisher) {
  if (tx.Exec("SELECT 1 FROM catalog.publishers WHERE id = $1", publisher).empty()) {
    return DoesNotExist("publishers/" + publisher);
  }
  return {};
}

Status InsertModel(GlobalTx& tx, const Model& model) {
  ALLOD_CHECK_OK(RequirePublisher(tx, model.publisher));
  tx.Exec(
      "INSERT INTO catalog.models (id, publisher_id, display_name, description, create_time) "
      "VALUES ($1, $2, $3, $4, " ALLOD_FROM_MICROS("$5") ") ON CONFLICT DO NOTHING",
      model.id, model.publisher, model.display_name, model.description, model.create_time);
  return {};
}

Result<Version> ReadVersion(GlobalTx& tx, const VersionKey& key) {
  const auto rows =
      tx.Exec(fmt::format("SELECT {} FROM catalog.versions WHERE model_id = $1 AND id = $2", kVersionColumns),
              key.model, key.version);
  if (rows.empty()) return DoesNotExist(key.name());
  return ReadFirst(rows, ReadVersionRow);
}

Result<Variant> ReadVariant(GlobalTx& tx, const VariantKey& key) {
  const auto rows =
      tx.Exec(fmt::format("SELECT {} FROM catalog.variants WHERE model_id = $1 AND version_id = $2 AND id = $3",
                          kVariantColumns),
              key.version.model, key.version.version, key.variant);
  if (rows.empty()) return DoesNotExist(key.name());
  return ReadFirst(rows, ReadVariantRow);
}

void InsertVersion(GlobalTx& tx, const Version& v) {
  tx.Exec(
      "INSERT INTO catalog.versions (model_id, id, license, source_sha256, architecture, parameter_count, "
      "trained_context_tokens, vocabulary_size, has_chat_template, kv_bytes_per_token, create_time) "
      "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, " ALLOD_FROM_MICROS("$11") ")",
      v.key.model, v.key.version, v.license, v.source_sha256, v.facts.architecture, v.facts.parameter_count,
      v.facts.trained_context_tokens, v.facts.vocabulary_size, v.facts.has_chat_template, v.facts.kv_bytes_per_token,
      v.create_time);
}

void InsertVariant(GlobalTx& tx, const Variant& v) {
  const QualityReport& q = v.quality;
  tx.Exec(
      "INSERT INTO catalog.variants (model_id, version_id, id, compression, artifact_sha256, artifact_bytes, bytes, "
      "bits_per_weight, perplexity, source_perplexity, mean_kl_divergence, top1_agreement, evaluated_tokens, "
      "evaluation_text_sha256, decode_tokens_per_second, prefill_tokens_per_second, measured_on, measure_time, "
      "tensor_types, create_time) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, "
      "$17, " ALLOD_FROM_MICROS("$18") ", $19::jsonb, " ALLOD_FROM_MICROS("$20") ")",
      v.key.version.model, v.key.version.version, v.key.variant, v.compression, v.artifact_sha256, v.artifact_bytes,
      q.bytes, q.bits_per_weight, q.perplexity, q.source_perplexity, q.mean_kl_divergence, q.top1_agreement,
      q.evaluated_tokens, q.evaluation_text_sha256, q.decode_tokens_per_second, q.prefill_tokens_per_second,
      q.measured_on, q.measure_time, nlohmann::json(v.tensor_types).dump(), v.create_time);
}

Result<Publisher> PgStore::CreatePublisher(const Publisher& publisher, const RequestId& request) {
  return pool_.Run<Publisher>(
      [&](GlobalTx& tx) -> Result<Publisher> {
        ALLOD_CHECK_OK(RecallRequest(tx, request));
        tx.Exec(
            "INSERT INTO catalog.publishers (id, display_name, create_time) "
            "VALUES ($1, $2, " ALLOD_FROM_MICROS("$3") ") ON CONFLICT DO NOTHING",
            publisher.id, publisher.display_name, publisher.create_time);
        const auto rows =
            tx.Exec(fmt::format("SELECT {} FROM catalog.publishers WHERE id = $1", kPublisherColumns), publisher.id);
        if (rows.empty()) return Internal("a publisher vanished");
        Publisher stored = ReadFirst(rows, ReadPublisher);
        if (!SameContent(stored, publisher)) return std::unexpected(TakenByOtherContent(publisher.name()));
        ALLOD_CHECK_OK(RememberRequest(tx, request, publisher.id));
        return stored;
      },
      RunAgain{});
}

Result<Page<Publisher>> PgStore::ListPublishers(const PageRequest& page) {
  return pool_.Run<Page<Publisher>>([&](GlobalTx& tx) -> Result<Page<Publisher>> {
    return ReadPage(tx, page, fmt::format("SELECT {} FROM catalog.publishers WHERE true", kPublisherColumns),
                    ReadPublisher, [](const Publisher& p) { return p.id; });
  });
}

Result<Model> PgStore::CreateModel(const Model& model, const RequestId& request) {
  return pool_.Run<Model>(
      [&](GlobalTx& tx) -> Result<Model> {
        ALLOD_CHECK_OK(RecallRequest(tx, request));
        ALLOD_CHECK_OK(InsertModel(tx, model));
        ALLOD_TRY(Model stored, ReadModel(tx, model.id));
        if (!SameContent(stored, model)) return std::unexpected(TakenByOtherContent(model.name()));
        ALLOD_CHECK_OK(RememberRequest(tx, request, model.id));
        return stored;
      },
      RunAgain{});
}

Result<Model> PgStore::GetModel(const std::string& model) {
  return pool_.Run<Model>([&](GlobalTx& tx) { return ReadModel(tx, model); });
}

Result<Page<Model>> PgStore::ListModels(const PageRequest& page) {
  return pool_.Run<Page<Model>>([&](GlobalTx& tx) -> Result<Page<Model>> {
    return ReadPage(tx, page, fmt::format("SELECT {} FROM catalog.models WHERE true", kModelColumns), ReadModelRow,
                    [](const Model& m) { return m.id; });
  });
}

Result<Version> PgStore::GetVersion(const VersionKey& key) {
  return pool_.Run<Version>([&](GlobalTx& tx) { return ReadVersion(tx, key); });
}

Result<Page<Version>> PgStore::ListVersions(const std::string& model, const PageRequest& page) {
  return pool_.Run<Page<Version>>([&](GlobalTx& tx) -> Result<Page<Version>> {
    ALLOD_CHECK_OK(ReadModel(tx, model));
    return ReadPage(
        tx, page, fmt::format("SELECT {} FROM catalog.versions WHERE model_id = $3", kVersionColumns), ReadVersionRow,
        [](const Version& v) { return v.key.version; }, model);
  });
}

Result<Variant> PgStore::GetVariant(const VariantKey& key) {
  return pool_.Run<Variant>([&](GlobalTx& tx) { return ReadVariant(tx, key); });
}

Result<Page<Variant>> PgStore::ListVariants(const VersionKey& version, const PageRequest& page) {
  return pool_.Run<Page<Variant>>([&](GlobalTx& tx) -> Result<Page<Variant>> {
    ALLOD_CHECK_OK(ReadVersion(tx, version));
    return ReadPage(
        tx, page,
        fmt::format("SELECT {} FROM catalog.variants WHERE model_id = $3 AND version_id = $4", kVariantColumns),
        ReadVariantRow, [](const Variant& v) { return v.key.variant; }, version.model, version.version);
  });
}

Result<bool> PgStore::ArtifactInUse(const std::string& sha256) {
  return pool_.Run<bool>([&](GlobalTx& tx) -> Result<bool> {
    const auto rows = tx.Exec(
        "SELECT EXISTS (SELECT FROM catalog.versions WHERE source_sha256 = $1) "
        "OR EXISTS (SELECT FROM catalog.variants WHERE artifact_sha256 = $1) "
        "OR EXISTS (SELECT FROM catalog.jobs WHERE source_sha256 = $1 AND state IN ('QUEUED', 'LEASED'))",
        sha256);
    return rows[0][0].as<bool>();
  });
}

}  // namespace allod::catalog
