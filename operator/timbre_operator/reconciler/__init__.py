"""What is done whenever something happened to a VoiceService?  Look, decide, act, report: always the whole of it.

Every event, whatever it was, ends in one ``converge`` of the service that it is about.  Only the leader converges; every
replica of the operator keeps ``Live`` current.
"""
