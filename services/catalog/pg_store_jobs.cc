#include "services/catalog/pg_rows.h"
#include "services/catalog/pg_store.h"

namespace allod {

template <>
inline constexpr auto kRowWords<catalog::JobKind> = std::to_array<RowWord<catalog::JobKind>>(
    {{catalog::JobKind::kInspect, "INSPECT"}, {catalog::JobKind::kCompress, "COMPRESS"}});
template <>
inline constexpr auto kRowWords<catalog::JobState> =
    std::to_array<RowWord<catalog::JobState>>({{catalog::JobState::kQueued, "QUEUED"},
                                               {catalog::JobState::kLeased, "LEASED"},
                                               {catalog::JobState::kSucceeded, "SUCCEEDED"},
                                               {catalog::JobState::kFailed, "FAILED"}});

}  // namespace allod

namespace allod::catalog {
namespace {

// How many jobs that nobody could finish one LeaseJob clears away at most.
constexpr int kExhaustedPerLeaseMax = 16;

constexpr char kJobColumns[] =
    "id, kind, model_id, version_id, variant_id, source_sha256, compression, license, state, epoch, leased_by, phase, "
    "progress, error_code, error_reason, error_message, " ALLOD_MICROS("create_time") ", " ALLOD_MICROS("update_time") ", "
    "new_model_publisher, new_model_display_name, new_model_description";

Job ReadJobRow(RowReader& row) {
  Job job;
  row.Into(job.id, job.kind, job.target.version.model, job.target.version.version, job.target.variant,
           job.source_sha256, job.compression, job.license, job.state, job.epoch, job.leased_by, job.phase,
           job.progress);
  if (row.NextIsNull()) {
    row.Skip(3);
  } else {
    Error& error = job.error.emplace();
    error.code = static_cast<Code>(row.Next<int>());
    row.Into(error.reason, error.message);
  }
  row.Into(job.create_time, job.update_time);
  if (!row.NextIsNull()) {
    Model& model = job.new_model.emplace();
    model.id = job.target.version.model;
    model.create_time = job.create_time;
    row.Into(model.publisher, model.display_name, model.description);
  }
  return job;
}

Result<Job> ReadJob(GlobalTx& tx, const Uuid& id, bool lock) {
  const auto rows =
      tx.Exec(fmt::format("SELECT {} FROM catalog.jobs WHERE id = $1{}", kJobColumns, lock ? " FOR UPDATE" : ""),
              id.ToString());
  if (rows.empty()) return DoesNotExist("jobs/" + id.ToString());
  return ReadFirst(rows, ReadJobRow);
}

std::optional<std::string> OfNewModel(const Job& job, std::string Model::*field) {
  return job.new_model ? std::optional((*job.new_model).*field) : std::nullopt;
}

Result<Operation> OperationOf(GlobalTx& tx, Job job) {
  Operation out{std::move(job), std::nullopt, std::nullopt};
  if (out.job.state != JobState::kSucceeded) return out;
  if (out.job.kind == JobKind::kInspect) {
    ALLOD_TRY(out.version, ReadVersion(tx, out.job.target.version));
  } else {
    ALLOD_TRY(out.variant, ReadVariant(tx, out.job.target));
  }
  return out;
}

void Fail(GlobalTx& tx, Job& job, const Error& error, Time now) {
  job.state = JobState::kFailed;
  job.error = error;
  job.update_time = now;
  tx.Exec(
      "UPDATE catalog.jobs SET state = 'FAILED', error_code = $2, error_reason = $3, error_message = $4, "
      "update_time = " ALLOD_FROM_MICROS("$5") " WHERE id = $1",
      job.id.ToString(), static_cast<int>(error.code), error.reason, error.message, now);
}

void Succeed(GlobalTx& tx, Job& job, Time now) {
  job.state = JobState::kSucceeded;
  job.progress = 1;
  job.update_time = now;
  tx.Exec("UPDATE catalog.jobs SET state = 'SUCCEEDED', progress = 1, update_time = " ALLOD_FROM_MICROS(
              "$2") " WHERE id = $1",
          job.id.ToString(), now);
}

}  // namespace

Result<Operation> PgStore::StartJob(const Job& job, const RequestId& request, const std::optional<Error>& refusal) {
  return pool_.Run<Operation>(
      [&](GlobalTx& tx) -> Result<Operation> {
        ALLOD_TRY(const auto earlier, RecallRequest(tx, request));
        if (earlier) {
          ALLOD_TRY(const Uuid id, Uuid::Parse(*earlier));
          ALLOD_TRY(Job made, ReadJob(tx, id, /*lock=*/false));
          return OperationOf(tx, std::move(made));
        }
        if (refusal) return std::unexpected(*refusal);
        Job wanted = job;
        if (job.kind == JobKind::kInspect) {
          auto model = ReadModel(tx, job.target.version.model);
          if (!model && !(model.error().code == Code::kNotFound && job.new_model))
            return std::unexpected(model.error());
          if (!model) ALLOD_CHECK_OK(RequirePublisher(tx, job.new_model->publisher));
        } else {
          ALLOD_CHECK_OK(ReadVersion(tx, job.target.version));
          ALLOD_TRY(const Variant source, ReadVariant(tx, {job.target.version, std::string(kSourceVariant)}));
          wanted.source_sha256 = source.artifact_sha256;
        }
        // A concurrent twin waits here for the first to commit, then finds its job.
        tx.Exec(
            "INSERT INTO catalog.jobs (id, kind, model_id, version_id, variant_id, source_sha256, compression, "
            "license, state, create_time, update_time, new_model_publisher, new_model_display_name, "
            "new_model_description) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 'QUEUED', " ALLOD_FROM_MICROS(
                "$9") ", " ALLOD_FROM_MICROS("$9") ", $10, $11, $12) ON CONFLICT DO NOTHING",
            wanted.id.ToString(), wanted.kind, wanted.target.version.model, wanted.target.version.version,
            wanted.target.variant, wanted.source_sha256, wanted.compression, wanted.license, wanted.create_time,
            OfNewModel(wanted, &Model::publisher), OfNewModel(wanted, &Model::display_name),
            OfNewModel(wanted, &Model::description));
        const auto rows = tx.Exec(fmt::format("SELECT {} FROM catalog.jobs WHERE model_id = $1 AND version_id = $2 AND "
                                              "variant_id = $3 AND state <> 'FAILED'",
                                              kJobColumns),
                                  wanted.target.version.model, wanted.target.version.version, wanted.target.variant);
        if (rows.empty()) {
          return allod::Fail(Code::kAborted, "JOB_FAILED_MEANWHILE",
                             "the job of an earlier request just failed; try again");
        }
        Job stored = ReadFirst(rows, ReadJobRow);
        if (!SameWork(stored, wanted)) return std::unexpected(TakenByOtherContent(job.target_name()));
        ALLOD_CHECK_OK(RememberRequest(tx, request, stored.id.ToString()));
        return OperationOf(tx, std::move(stored));
      },
      RunAgain{});
}

Result<Operation> PgStore::GetOperation(const Uuid& id) {
  return pool_.Run<Operation>([&](GlobalTx& tx) -> Result<Operation> {
    auto job = ReadJob(tx, id, /*lock=*/false);
    if (!job && job.error().code == Code::kNotFound) return DoesNotExist("operations/" + id.ToString());
    if (!job) return std::unexpected(job.error());
    return OperationOf(tx, *std::move(job));
  });
}

Result<Page<Operation>> PgStore::ListOperations(const PageRequest& page) {
  return pool_.Run<Page<Operation>>([&](GlobalTx& tx) -> Result<Page<Operation>> {
    std::vector<Operation> items;
    const auto rows =
        tx.Exec(fmt::format("SELECT {} FROM catalog.jobs WHERE id > $1 ORDER BY id LIMIT $2", kJobColumns),
                page.after.empty() ? Uuid().ToString() : page.after, page.size + 1);
    for (Job& job : ReadAll(rows, ReadJobRow)) {
      ALLOD_TRY(Operation operation, OperationOf(tx, std::move(job)));
      items.push_back(std::move(operation));
    }
    return MakePage(page, std::move(items), [](const Operation& o) { return o.job.id.ToString(); });
  });
}

Result<Job> PgStore::GetJob(const Uuid& id) {
  return pool_.Run<Job>([&](GlobalTx& tx) { return ReadJob(tx, id, /*lock=*/false); });
}

// Without a look-up after an unknown commit: a lease that nobody heard of just runs out.
Result<Lease> PgStore::LeaseJob(const std::string& node, std::chrono::milliseconds lease, Time now) {
  return pool_.Run<Lease>([&](GlobalTx& tx) -> Result<Lease> {
    Lease out;
    while (out.exhausted.size() < kExhaustedPerLeaseMax) {
      const auto rows =
          tx.Exec(fmt::format("SELECT {} FROM catalog.jobs WHERE state = 'QUEUED' OR (state = 'LEASED' AND "
                              "lease_expire_time <= now()) ORDER BY create_time, id LIMIT 1 FOR UPDATE SKIP LOCKED",
                              kJobColumns));
      if (rows.empty()) return out;
      Job job = ReadFirst(rows, ReadJobRow);
      if (job.epoch >= kAttemptsMax) {
        Fail(tx, job, AttemptsExhausted(job), now);
        out.exhausted.push_back(std::move(job));
        continue;
      }
      const auto leased = tx.Exec(
          fmt::format("UPDATE catalog.jobs SET state = 'LEASED', epoch = epoch + 1, leased_by = $2, phase = '', "
                      "progress = 0, lease_expire_time = now() + $3::bigint * interval '1 millisecond', "
                      "update_time = " ALLOD_FROM_MICROS("$4") " WHERE id = $1 RETURNING {}",
                      kJobColumns),
          job.id.ToString(), node, static_cast<std::int64_t>(lease.count()), now);
      out.job = ReadFirst(leased, ReadJobRow);
      return out;
    }
    return out;
  });
}

Status PgStore::ReportJob(const Uuid& id, std::int64_t epoch, const std::string& node, const std::string& phase,
                          double progress, std::chrono::milliseconds lease, Time now) {
  const auto reported = pool_.Run<Job>(
      [&](GlobalTx& tx) -> Result<Job> {
        ALLOD_TRY(const Job job, ReadJob(tx, id, /*lock=*/true));
        if (job.state != JobState::kLeased || job.epoch != epoch || job.leased_by != node) return LeaseLost(job);
        tx.Exec(
            "UPDATE catalog.jobs SET phase = $2, progress = $3, "
            "lease_expire_time = now() + $4::bigint * interval '1 millisecond', update_time = " ALLOD_FROM_MICROS(
                "$5") " WHERE id = $1",
            id.ToString(), phase, progress, static_cast<std::int64_t>(lease.count()), now);
        return job;
      },
      RunAgain{});
  if (!reported) return std::unexpected(reported.error());
  return {};
}

Result<Job> PgStore::FinishJob(const Uuid& id, std::int64_t epoch, const std::string& node, const JobResult& result,
                               Time now) {
  return pool_.Run<Job>(
      [&](GlobalTx& tx) -> Result<Job> {
        ALLOD_TRY(Job job, ReadJob(tx, id, /*lock=*/true));
        if (job.state == JobState::kQueued || job.epoch != epoch || job.leased_by != node) return LeaseLost(job);
        if (job.finished()) return job;
        if (const auto* error = std::get_if<Error>(&result)) {
          Fail(tx, job, *error, now);
          return job;
        }
        if (const auto* inspect = std::get_if<InspectResult>(&result)) {
          if (job.new_model) ALLOD_CHECK_OK(InsertModel(tx, *job.new_model));
          InsertVersion(tx, MakeVersion(job, *inspect, now));
          InsertVariant(tx, MakeSourceVariant(job, *inspect, now));
        } else {
          InsertVariant(tx, MakeVariant(job, std::get<CompressResult>(result), now));
        }
        Succeed(tx, job, now);
        return job;
      },
      RunAgain{});
}

}  // namespace allod::catalog
