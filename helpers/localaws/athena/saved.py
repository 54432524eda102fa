"""SQL that a workgroup keeps: prepared statements, by name, and named queries, by id. Messages are of our wording [U]."""

import uuid

from ..service import AwsError, Caller, now
from .errors import QueryFailure


class SavedStatements:
    """These operations of Athena's control plane, and what PREPARE, EXECUTE and DEALLOCATE do.

    Needs `_prepared` and `_named`, stores; `_workgroup(caller, name)`, which fails for one that is not there; `_paged`.
    """

    # --- prepared statements ------------------------------------------------------------------------------------------------------
    def create_prepared_statement(self, caller: Caller, params: dict) -> dict:
        group = self._workgroup(caller, params["WorkGroup"])["Name"]
        key = _key(caller, group, params["StatementName"])
        with self._prepared.lock:
            if key in self._prepared:
                raise _invalid(f"Prepared statement {params['StatementName']} already exists in workgroup {group}.")
            self._prepared[key] = {"StatementName": params["StatementName"], "QueryStatement": params["QueryStatement"],
                                   "WorkGroupName": group, "Description": params.get("Description", ""), "LastModifiedTime": now()}
        return {}

    def get_prepared_statement(self, caller: Caller, params: dict) -> dict:
        return {"PreparedStatement": self._prepared[self._prepared_key(caller, params)]}

    def batch_get_prepared_statement(self, caller: Caller, params: dict) -> dict:
        group, found, missing = self._workgroup(caller, params["WorkGroup"])["Name"], [], []
        for name in params["PreparedStatementNames"]:
            item = self._prepared.get(_key(caller, group, name))
            found += [item] if item else []
            missing += [] if item else [{"StatementName": name, "ErrorCode": "INVALID_INPUT", "ErrorMessage": _not_there(name)}]
        return {"PreparedStatements": found, "UnprocessedPreparedStatementNames": missing}

    def list_prepared_statements(self, caller: Caller, params: dict) -> dict:
        start = _key(caller, self._workgroup(caller, params["WorkGroup"])["Name"], "")
        found = [self._prepared[key] for key in sorted(self._prepared) if key.startswith(start)]
        return self._paged("PreparedStatements", [{name: item[name] for name in ("StatementName", "LastModifiedTime")} for item in found],
                           params)

    def update_prepared_statement(self, caller: Caller, params: dict) -> dict:
        changed = {name: params[name] for name in ("QueryStatement", "Description") if name in params}
        self._prepared.update_item(self._prepared_key(caller, params), **changed, LastModifiedTime=now())
        return {}

    def delete_prepared_statement(self, caller: Caller, params: dict) -> dict:
        del self._prepared[self._prepared_key(caller, params)]
        return {}

    def _prepared_key(self, caller: Caller, params: dict) -> str:
        key = _key(caller, self._workgroup(caller, params["WorkGroup"])["Name"], params["StatementName"])
        if key not in self._prepared:
            raise AwsError("ResourceNotFoundException", _not_there(params["StatementName"]), ResourceName=params["StatementName"])
        return key

    def _prepared_text(self, caller: Caller, group: str, name: str) -> str:
        """The SQL of EXECUTE; QueryFailure if there is none."""
        try:
            return self._prepared[_key(caller, group, name)]["QueryStatement"]
        except KeyError:
            raise QueryFailure("NOT_FOUND", f"Prepared statement not found: {name}") from None

    def _prepare(self, caller: Caller, group: str, statement) -> None:
        """Do what the statement says: PREPARE replaces a namesake, as in Trino [L]; DEALLOCATE wants one."""
        params = {"WorkGroup": group, "StatementName": statement.name}
        key = _key(caller, group, statement.name)
        if statement.kind == "DEALLOCATE_PREPARE":
            self._prepared_text(caller, group, statement.name)
            del self._prepared[key]
        elif key in self._prepared:
            self._prepared.update_item(key, QueryStatement=statement.query.strip(), LastModifiedTime=now())
        else:
            self.create_prepared_statement(caller, {**params, "QueryStatement": statement.query.strip()})

    # --- named queries ------------------------------------------------------------------------------------------------------------
    def create_named_query(self, caller: Caller, params: dict) -> dict:
        group, token = self._workgroup(caller, params.get("WorkGroup", "primary"))["Name"], params.get("ClientRequestToken")
        # The same token means the same query, whoever sends it again.
        identifier = str(uuid.uuid5(uuid.NAMESPACE_OID, f"{_key(caller, group, token)}") if token else uuid.uuid4())
        self._named[identifier] = {
            "Owner": _key(caller, group, ""), "NamedQueryId": identifier, "WorkGroup": group,
            **{name: params[name] for name in ("Name", "Description", "Database", "QueryString") if name in params}}
        return {"NamedQueryId": identifier}

    def get_named_query(self, caller: Caller, params: dict) -> dict:
        return {"NamedQuery": _shown(self._named_query(caller, params["NamedQueryId"]))}

    def batch_get_named_query(self, caller: Caller, params: dict) -> dict:
        found, missing = [], []
        for identifier in params["NamedQueryIds"]:
            try:
                found.append(_shown(self._named_query(caller, identifier)))
            except AwsError as error:
                missing.append({"NamedQueryId": identifier, "ErrorCode": "INVALID_INPUT", "ErrorMessage": error.message})
        return {"NamedQueries": found, "UnprocessedNamedQueryIds": missing}

    def list_named_queries(self, caller: Caller, params: dict) -> dict:
        owner = _key(caller, self._workgroup(caller, params.get("WorkGroup", "primary"))["Name"], "")
        return self._paged("NamedQueryIds", sorted(key for key in self._named if self._named[key]["Owner"] == owner), params)

    def update_named_query(self, caller: Caller, params: dict) -> dict:
        self._named_query(caller, params["NamedQueryId"])
        self._named.update_item(params["NamedQueryId"], **{
            name: params[name] for name in ("Name", "Description", "QueryString") if name in params})
        return {}

    def delete_named_query(self, caller: Caller, params: dict) -> dict:
        self._named_query(caller, params["NamedQueryId"])
        del self._named[params["NamedQueryId"]]
        return {}

    def _named_query(self, caller: Caller, identifier: str) -> dict:
        found = self._named.get(identifier)
        if found is None or not found["Owner"].startswith(caller.arn("athena", "")):
            raise _invalid(f"Named query {identifier} was not found.")
        return found

    # --- of a workgroup -----------------------------------------------------------------------------------------------------------
    def _saved_in(self, caller: Caller, group: str) -> list[tuple]:
        """(store, key) of all that the workgroup keeps."""
        start = _key(caller, group, "")
        return [*((self._prepared, key) for key in self._prepared if key.startswith(start)),
                *((self._named, key) for key in self._named if self._named[key]["Owner"] == start)]


def _key(caller: Caller, group: str, name: str) -> str:
    return caller.arn("athena", f"workgroup/{group}/{name}")


def _shown(item: dict) -> dict:
    return {name: value for name, value in item.items() if name != "Owner"}


def _not_there(name: str) -> str:
    return f"Prepared statement {name} was not found."


def _invalid(message: str) -> AwsError:
    return AwsError("InvalidRequestException", message, AthenaErrorCode="INVALID_INPUT")
