#include "services/common/pg/error.h"

#include <pqxx/pqxx>
#include <string_view>

#include "services/common/log.h"

namespace allod {
namespace {

// The first line names the table and the constraint; the lines after it may quote a row.
std::string FirstLine(std::string_view text) { return std::string(text.substr(0, text.find('\n'))); }

Error MakeError(Code code, std::string reason, std::string message) {
  return Error{code, std::move(reason), std::move(message)};
}

PgFailure Lost() { return {DatabaseUnavailable(), true, false}; }

PgFailure Contention() {
  Error error = MakeError(Code::kAborted, "CONTENTION", "the data was changed by others at the same time; try again");
  error.retry_after = std::chrono::milliseconds(100);
  return {error, false, true};
}

PgFailure BySqlState(std::string_view state) {
  // The server is going down or the session was ended; 57P05 is the idle session timeout.
  if (state.starts_with("08") || state.starts_with("57P")) return Lost();
  if (state == "40001" || state == "40P01") return Contention();
  if (state == "23505" || state == "23P01") {
    return {MakeError(Code::kAlreadyExists, "CONFLICT", "something with the same name or key exists already")};
  }
  if (state.starts_with("23") || state == "P0001") {
    return {
        MakeError(Code::kFailedPrecondition, "CONSTRAINT", "the change would break a rule that the database keeps")};
  }
  if (state == "57014") {
    return {MakeError(Code::kDeadlineExceeded, kStatementTimeout,
                      "the database took too long; try again, with less "
                      "at once if it happens again")};
  }
  if (state == "55P03") {
    return {MakeError(Code::kAborted, "LOCK_TIMEOUT", "another change holds what this one needs; try again")};
  }
  if (state == "53100") {
    return {MakeError(Code::kResourceExhausted, "DATABASE_FULL",
                      "the disk of the database is full; an operator must "
                      "free space")};
  }
  if (state == "53300") return {DatabaseUnavailable(), true, false};
  if (state.starts_with("53")) {
    return {MakeError(Code::kResourceExhausted, "DATABASE_OVERLOADED", "the database is short of memory; try later")};
  }
  if (state == "22003") {
    return {MakeError(Code::kOutOfRange, "NUMBER_OUT_OF_RANGE", "a number is too large for the database")};
  }
  if (state == "22021" || state == "22P05") {
    return {MakeError(Code::kInvalidArgument, "INVALID_TEXT", "a text is not valid UTF-8")};
  }
  return {MakeError(Code::kInternal, "DATABASE_FAILED",
                    "the database refused the statement; the service's log says "
                    "more")};
}

PgFailure Classify(const std::exception& e) {
  if (dynamic_cast<const pqxx::broken_connection*>(&e) != nullptr) return Lost();
  if (dynamic_cast<const pqxx::transaction_rollback*>(&e) != nullptr) return Contention();
  if (const auto* sql = dynamic_cast<const pqxx::sql_error*>(&e)) {
    if (!sql->sqlstate().empty()) return BySqlState(sql->sqlstate());
    if (dynamic_cast<const pqxx::unique_violation*>(&e) != nullptr) return BySqlState("23505");
    if (dynamic_cast<const pqxx::integrity_constraint_violation*>(&e) != nullptr) return BySqlState("23000");
    return BySqlState("XX000");
  }
  if (dynamic_cast<const pqxx::argument_error*>(&e) != nullptr) {
    return {MakeError(Code::kInvalidArgument, "INVALID_TEXT", "a text holds a NUL character")};
  }
  return {MakeError(Code::kInternal, "DATABASE_FAILED",
                    "the service failed while it used the database; its log says "
                    "more")};
}

}  // namespace

Error DatabaseUnavailable() {
  return Error{Code::kUnavailable, "DATABASE_UNAVAILABLE", "the database cannot be reached; try again shortly",
               std::chrono::milliseconds(1000)};
}

PgFailure ClassifyPgFailure(const std::exception& exception) {
  PgFailure out = Classify(exception);
  const auto* sql = dynamic_cast<const pqxx::sql_error*>(&exception);
  const bool expected = out.run_again || out.error.reason == "CONFLICT";
  Log(expected ? LogLevel::kDebug : LogLevel::kWarning, "database statement failed",
      {{"reason", out.error.reason},
       {"sqlstate", sql != nullptr ? sql->sqlstate() : ""},
       {"detail", FirstLine(exception.what())},
       {"sql", sql != nullptr ? sql->query().substr(0, 300) : ""}});
  return out;
}

}  // namespace allod
