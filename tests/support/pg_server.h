// The PostgreSQL server of a test program: the one that ALLOD_TEST_PG_URL names (a superuser's connection string), else
// one private server in a temporary directory, on a Unix socket, started at first use and gone with the program.
#pragma once

#include <memory>
#include <string>

namespace allod {

class PgServer {
 public:
  // Throws std::runtime_error when there is no server and none can be started.
  static PgServer& Get();
  // Before the first Get(): the private server keeps the texts of all statements (pg_stat_statements, which comes with
  // PostgreSQL), those within functions too.
  static void RecordStatements();
  // Ends all sessions at once, writes nothing down (an immediate shutdown), and starts again; returns when it answers.
  // Whether that was possible: not with ALLOD_TEST_PG_URL.
  bool Crash();
  ~PgServer();
  // A connection string to `database` as the superuser, or as `user`, without a password.
  std::string Url(const std::string& database) const;
  std::string UrlAs(const std::string& user, const std::string& database) const;

 private:
  PgServer();
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace allod
